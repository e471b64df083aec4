"""DARE: drop elements at random and scale up the rest."""

from __future__ import annotations

from .registry import merge_method
from .sparsification import Density, Probability, Seed, Sparsification, Vote

_PAPER = "Yu et al., Language Models are Super Mario, arXiv 2311.03099"


@merge_method(label="DARE", kind="deltas", formula="(1/N)·Σ mᵢ∘Δᵢ/(1 - p), mᵢ ~ Bernoulli(1 - p)", source=_PAPER)
def dare(*, probability: Probability = 0.9, seed: Seed = 0) -> Sparsification:
    """Drop a share of every change at random and average the scaled survivors."""
    return Sparsification("mean", probability=probability, scale=1 / (1 - probability), seed=seed)


@merge_method(label="DARE-TIES", kind="deltas", formula="TIES(mᵢ∘Δᵢ)/(1 - p), mᵢ ~ Bernoulli(1 - p)", source=_PAPER)
def dare_ties(
    *, probability: Probability = 0.9, density: Density = 1.0, vote: Vote = "mass", seed: Seed = 0
) -> Sparsification:
    """Drop at random, merge by TIES, and scale the result up."""
    scale = 1 / (1 - probability)
    return Sparsification("agreeing", probability, low=1.0 - density, vote=vote, scale=scale, seed=seed)
