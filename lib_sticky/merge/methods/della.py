"""DELLA: drop elements at random, with odds that depend on their rank by magnitude."""

from __future__ import annotations

from typing import Annotated

import torch

from .registry import Range, merge_method
from .sparsification import Density, Probability, Rescale, Seed, Sparsification, Vote

Spread = Annotated[float, Range(-1.0, 1.0, 0.01, "how much more likely the largest element is kept than the smallest")]


@merge_method(
    label="DELLA (MAGPRUNE)",
    kind="deltas",
    formula="TIES(mᵢ∘Δᵢ)/(1 - p)^rescale, P(mᵢ = 1) = 1 - p + ε·(r/n - (n + 1)/2n)",
    source="Deep et al., DELLA-Merging, arXiv 2406.11617; ranks are of the whole tensor, as in sd-mecha",
)
def della(
    *,
    probability: Probability = 0.7,
    epsilon: Spread = 0.2,
    density: Density = 1.0,
    vote: Vote = "mass",
    seed: Seed = 0,
    rescale: Rescale = 1.0,
) -> Sparsification:
    """Drop small elements more often than large ones (less often with a negative epsilon), then TIES."""
    scale = (1 - probability) ** -rescale
    return Sparsification("agreeing", probability, epsilon, 1.0 - density, vote=vote, scale=scale, seed=seed)


def keep_chance(rank: torch.Tensor, count: int, probability: float, spread: float) -> torch.Tensor:
    """Return the chance that the element of magnitude rank r (1 the smallest, of `count`) is kept, from 0 to 1."""
    return (1.0 - probability + spread * (rank / count - (count + 1) / (2 * count))).clamp(0.0, 1.0)
