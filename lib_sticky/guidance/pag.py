"""Perturbed-attention guidance: away from a pass whose self-attention looks only at itself."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .interval import Interval
from .ranges import require


@dataclass(frozen=True)
class Pag:
    """scale: 0 is off, the paper uses 3, the Untitled articles 1. One more model row a step."""

    scale: float
    interval: Interval = Interval()

    def __post_init__(self) -> None:
        require("PAG scale", self.scale, 0.0)


def attend_identity(q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # noqa: ARG001 (all attentions are called alike)
    """Self-attention with the attention map replaced by the identity: every token keeps its own value.

    Source: Ahn et al., arXiv 2403.17377, equation 13.
    """
    return v
