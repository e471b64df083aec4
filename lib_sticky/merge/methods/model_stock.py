"""Model Stock: how far to go from the base to the average, read from the angle between the changes."""

from __future__ import annotations

from typing import Annotated

import torch

from .registry import Delta, GramOf, merge_method


@merge_method(
    label="Model stock",
    kind="gram",
    formula="t·(1/N)·Σ Δᵢ, t = N·cos/(1 + (N - 1)·cos)",
    source="Jang et al., Model Stock, arXiv 2403.19522; cos is the mean over all pairs, t is kept in [0, 1]",
)
def model_stock(gram: Annotated[torch.Tensor, GramOf("*deltas", "delta")]) -> Delta[torch.Tensor]:
    """Average the changes and shrink the average by how little they agree."""
    count = gram.shape[0]
    norms = gram.diagonal().clamp(min=0.0).sqrt()
    pairs = norms.outer(norms)
    cosines = torch.where(pairs > 0, gram / pairs.clamp(min=1e-300), torch.zeros_like(gram))
    mean = (cosines.sum() - cosines.diagonal().sum()) / (count * (count - 1)) if count > 1 else torch.ones(())
    share = (count * mean / (1 + (count - 1) * mean)).clamp(0.0, 1.0) if mean > 0 else torch.zeros(())
    return torch.full((count,), float(share) / count, dtype=gram.dtype)


@merge_method(
    label="Perpendicular part",
    kind="gram",
    formula="B - A·(A·B)/‖A‖²",
    source="sd-mecha, perpendicular_component",
)
def perpendicular(gram: Annotated[torch.Tensor, GramOf("a b", "delta")]) -> Delta[torch.Tensor]:
    """Return what B changes in other directions than A."""
    length = gram[0, 0]
    along = gram[0, 1] / length if length > 0 else torch.zeros(())
    return torch.tensor([-float(along), 1.0], dtype=gram.dtype)
