"""What two fine-tunes share, or where they differ."""

from __future__ import annotations

from typing import Annotated

import torch

from .decompositions import column_cosine
from .registry import Range, Weight, merge_method

Share = Annotated[float, Range(0.0, 1.0, 0.05, "which change: 0 is A's, 1 is B's")]
Dissimilarity = Annotated[float, Range(0.0, 1.0, 0.05, "0 keeps what both changed alike, 1 what they changed apart")]
Sharpness = Annotated[float, Range(0.0, 10.0, 0.1, "power of the similarity")]


@merge_method(
    label="Extract",
    kind="tensor",
    formula="base + lerp(Δa, Δb, α)∘lerp(s, 1 - s, β), s = ((cos(Δa, Δb) + 1)/2)^γ along the last axis",
    source="supermerger, calculation mode extract",
)
def extract(
    base: Weight[torch.Tensor],
    a: Weight[torch.Tensor],
    b: Weight[torch.Tensor],
    *,
    alpha: Share = 0.5,
    beta: Dissimilarity = 0.0,
    gamma: Sharpness = 1.0,
) -> Weight[torch.Tensor]:
    """Add to the base the part of two changes that is alike or unlike."""
    first, second = a - base, b - base
    alike = ((column_cosine(first, second, -1).clamp(-1, 1) + 1) / 2).pow(gamma).unsqueeze(-1)
    share = torch.lerp(alike, 1 - alike, beta).view((*base.shape[:-1], *[1] * min(1, base.ndim)))
    return base + torch.lerp(first, second, alpha) * share
