"""Model Breadcrumbs: drop the smallest elements and the outliers."""

from __future__ import annotations

from typing import Annotated

from .registry import Range, merge_method
from .sparsification import Density, Sparsification

Gamma = Annotated[float, Range(0.0, 1.0, 0.01, "share of the largest elements that is dropped as outliers")]


@merge_method(
    label="Breadcrumbs",
    kind="deltas",
    formula="(1/N)·Σ Δᵢ where |Δᵢ| is neither in the top γ nor below the density",
    source="Davari and Belilovsky, Model Breadcrumbs, arXiv 2312.06795; gamma as in mergekit",
)
def breadcrumbs(*, density: Density = 0.9, gamma: Gamma = 0.01) -> Sparsification:
    """Keep the middle of each change by magnitude and average."""
    return Sparsification("mean", low=max(0.0, 1.0 - density - gamma), high=gamma)
