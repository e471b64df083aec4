"""6DammK9's robust merges of many models: drop, elect signs, geometric median."""

from __future__ import annotations

from typing import Annotated

from .della import Spread
from .registry import Range, merge_method
from .sparsification import Density, Probability, Rescale, Seed, Sparsification, Vote

Iterations = Annotated[int, Range(0, 10000, 1, "most Weiszfeld steps; they cost nothing here")]
_NOTES = "6DammK9, AstolfoMix notes and recipes (x72a, x215a)"


@merge_method(
    label="TGMD (TIES, geometric median, drop)",
    kind="deltas",
    formula="geometric median of elect(trimₖ(mᵢ∘Δᵢ)), mᵢ ~ Bernoulli(1 - p)",
    source=_NOTES,
)
def tgmd(
    *,
    probability: Probability = 0.1,
    density: Density = 1.0,
    vote: Vote = "count",
    seed: Seed = 240603,
    maxiter: Iterations = 100,
) -> Sparsification:
    """Drop some elements, zero those that lost the vote, and take the geometric median of what is left."""
    return Sparsification("median", probability, 0.0, 1.0 - density, vote=vote, seed=seed, maxiter=maxiter)


@merge_method(
    label="DGMLA (drop by magnitude, geometric median)",
    kind="deltas",
    formula="as TGMD with P(mᵢ = 1) = 1 - p + ε·(r/n - (n + 1)/2n)",
    source=_NOTES,
)
def dgmla(
    *,
    probability: Probability = 0.1,
    epsilon: Spread = -0.1,
    density: Density = 1.0,
    vote: Vote = "count",
    seed: Seed = 241011,
    maxiter: Iterations = 100,
    rescale: Rescale = 0.0,
) -> Sparsification:
    """TGMD that drops the largest elements more often, which pulls models far from the base back to it."""
    scale = (1 - probability) ** -rescale
    return Sparsification(
        "median", probability, epsilon, 1.0 - density, vote=vote, scale=scale, seed=seed, maxiter=maxiter
    )
