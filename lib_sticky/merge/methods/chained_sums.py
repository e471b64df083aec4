"""Two mixes in one pass: sum-twice and triple sum."""

from __future__ import annotations

from typing import Annotated

from .registry import Either, L, Range, merge_method

Share = Annotated[float, Range(0.0, 1.0, 0.05, "share of the model that is mixed in")]


@merge_method(
    label="Sum twice",
    kind="linear",
    formula="(1 - β)·((1 - α)·A + α·B) + β·C",
    source="supermerger, mode Twice",
)
def sum_twice(a: Either[L], b: Either[L], c: Either[L], *, alpha: Share = 0.5, beta: Share = 0.5) -> Either[L]:
    """Mix B into A by alpha, then C into that by beta."""
    return (1 - beta) * ((1 - alpha) * a + alpha * b) + beta * c


@merge_method(label="Triple sum", kind="linear", formula="(1 - α - β)·A + α·B + β·C", source="supermerger, mode Triple")
def triple_sum(a: Either[L], b: Either[L], c: Either[L], *, alpha: Share = 0.33, beta: Share = 0.33) -> Either[L]:
    """Mix three models; A keeps what alpha and beta leave."""
    return (1 - alpha - beta) * a + alpha * b + beta * c
