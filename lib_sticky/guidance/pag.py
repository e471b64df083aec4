"""Perturbed-attention guidance: away from a pass whose self-attention looks only at itself."""

from __future__ import annotations

from dataclasses import dataclass

from .interval import Interval
from .ranges import require


@dataclass(frozen=True)
class Pag:
    """scale: 0 is off, the paper uses 3, the Untitled articles 1. One more model row a step.

    The pass itself is `attention_rows.identity_rows` in the middle block.
    """

    scale: float
    interval: Interval = Interval()

    def __post_init__(self) -> None:
        require("PAG scale", self.scale, 0.0)
