"""Task arithmetic: what B has over C, added to A."""

from __future__ import annotations

from typing import Annotated

from .registry import Delta, L, Range, Weight, merge_method

Strength = Annotated[float, Range(-2.0, 2.0, 0.05, "strength of the difference")]


@merge_method(
    label="Add difference",
    kind="linear",
    formula="A + α·(B - C)",
    source="Ilharco et al., Editing models with task arithmetic, arXiv 2212.04089",
)
def add_difference(a: Weight[L], b: Weight[L], c: Weight[L], *, alpha: Strength = 1.0) -> Weight[L]:
    """Add to A what B learned since C."""
    return a + alpha * (b - c)


@merge_method(label="Subtract", kind="linear", formula="A - B", source="as above")
def subtract(a: Weight[L], b: Weight[L]) -> Delta[L]:
    """Return the change from B to A, for methods that work on changes."""
    return a - b


@merge_method(label="Add", kind="linear", formula="A + α·Δ", source="as above; also how a LoRA is baked in")
def add(a: Weight[L], b: Delta[L], *, alpha: Strength = 1.0) -> Weight[L]:
    """Add a change, made by another method or read from a LoRA, to A."""
    return a + alpha * b


@merge_method(label="Scale", kind="linear", formula="α·Δ", source="as above")
def scale(a: Delta[L], *, alpha: Strength = 1.0) -> Delta[L]:
    """Make a change stronger or weaker."""
    return alpha * a
