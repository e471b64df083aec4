"""Settings of the TIES family: which elements of each change survive, and how the survivors become one change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from .registry import Choice, Range

Density = Annotated[float, Range(0.0, 1.0, 0.01, "share of each change that is kept, the largest first")]
Probability = Annotated[float, Range(0.0, 0.99, 0.01, "chance that an element of a change is dropped")]
Vote = Annotated[str, Choice(("mass", "count"), "mass: sign of the sum (the paper); count: sign of most models")]
Rescale = Annotated[float, Range(0.0, 1.0, 0.05, "1 makes up for the dropped share, 0 leaves the change shrunk")]
Seed = Annotated[int, Range(0, 2**63 - 1, 1, "the same seed drops the same elements")]


@dataclass(frozen=True)
class Sparsification:
    """What a method of kind `deltas` asks of the engine, in this order.

    Drop: an element survives with chance 1 - probability + spread·(r/n - (n + 1)/2n), where r is the rank of its
    magnitude in the tensor (1 the smallest). Trim: the `low` share of smallest and `high` share of largest magnitudes
    become zero. Vote: elements whose sign is not the elected one become zero. Combine: `agreeing` is the mean of the
    elements that voted with the winner, `mean` divides by the number of models, `median` is the geometric median of
    whole tensors (zeros are points too). The result is multiplied by `scale`.
    """

    combine: str
    probability: float = 0.0
    spread: float = 0.0
    low: float = 0.0
    high: float = 0.0
    vote: str = "none"
    scale: float = 1.0
    seed: int = 0
    eps: float = 1e-6
    ftol: float = 1e-20
    maxiter: int = 100
