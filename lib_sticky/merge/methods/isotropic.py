"""Isotropic merging: the sum of changes with its singular values evened out."""

from __future__ import annotations

from typing import Annotated

import torch

from .decompositions import svd
from .registry import Delta, Range, merge_method

Z = Annotated[float, Range(0.0, 4.0, 0.05, "0 makes all singular values equal (Iso-C), 1 changes nothing")]


@merge_method(
    label="Isotropic (Iso-C, Iso-Z)",
    kind="tensor",
    formula="U·(s̄ + z·(S - s̄))·Vᵀ of Σ Δᵢ = U·S·Vᵀ",
    source="Marczak et al., No Task Left Behind, arXiv 2502.04959; Z is 6DammK9's",
)
def isotropic(*deltas: Delta[torch.Tensor], z: Z = 0.0) -> Delta[torch.Tensor]:
    """Give every direction of the summed change the same strength; vectors are averaged."""
    total = torch.stack(deltas).sum(0)
    if total.ndim < 2:
        return total / len(deltas)
    u, s, vh = svd(total.flatten(1))
    even = s.mean() + z * (s - s.mean())
    return ((u * even) @ vh).view_as(total)
