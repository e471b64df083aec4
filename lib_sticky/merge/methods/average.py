"""The uniform average of any number of models."""

from __future__ import annotations

from .registry import Either, L, merge_method


@merge_method(
    label="Average of all",
    kind="linear",
    formula="(1/N)·Σ Mᵢ",
    source="Wortsman et al., Model soups, arXiv 2203.05482",
)
def average(*models: Either[L]) -> Either[L]:
    """Give every model the same share; a chain of 50% merges does not (it gives 1/2, 1/4, 1/8 ...)."""
    total = models[0]
    for model in models[1:]:
        total = total + model
    return total / len(models)
