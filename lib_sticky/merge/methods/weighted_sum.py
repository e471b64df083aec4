"""The 50% rule and its general case."""

from __future__ import annotations

from typing import Annotated

from .registry import Either, L, Range, merge_method


@merge_method(
    label="Weighted sum (50% rule)",
    kind="linear",
    formula="(1 - α)·A + α·B",
    source="the interpolation of the built-in merger; Wortsman et al., Robust fine-tuning, arXiv 2109.01903",
)
def weighted_sum(
    a: Either[L],
    b: Either[L],
    *,
    alpha: Annotated[float, Range(-1.0, 2.0, 0.05, "share of B; 0.5 is the 50% rule")] = 0.5,
) -> Either[L]:
    """Mix two models; 0 is A and 1 is B."""
    return (1 - alpha) * a + alpha * b
