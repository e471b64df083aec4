"""TIES: trim each change, elect a sign for each element, average what agrees."""

from __future__ import annotations

import torch

from .registry import merge_method
from .sparsification import Density, Sparsification, Vote

_PAPER = "Yadav et al., TIES-Merging, arXiv 2306.01708"


@merge_method(
    label="TIES",
    kind="deltas",
    formula="mean of trimₖ(Δᵢ) over the i whose sign is sgn(Σ trimₖ(Δᵢ))",
    source=_PAPER,
)
def ties(*, density: Density = 0.2, vote: Vote = "mass") -> Sparsification:
    """Keep the largest part of each change, let the models vote on signs, and average the ones that won."""
    return Sparsification("agreeing", low=1.0 - density, vote=vote)


@merge_method(
    label="TIES-SOUP",
    kind="deltas",
    formula="mean of Δᵢ over the i whose sign is sgn(Σ sgn Δᵢ)",
    source="6DammK9, AstolfoMix; TIES with density 1 and one vote a model",
)
def ties_soup() -> Sparsification:
    """Trim nothing and let every model have one vote on each sign."""
    return Sparsification("agreeing", vote="count")


def elected_signs(changes: torch.Tensor, vote: str) -> torch.Tensor:
    """Return the winning sign of each element: -1, 0 for a draw, or 1.

    changes: models x elements. Equation 2 of the paper is the vote by mass; by count each model has one vote.
    """
    return torch.sign(changes.sum(0) if vote == "mass" else torch.sign(changes).sum(0))
