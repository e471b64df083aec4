"""The part of the steps on which a technique acts: one gate that all of them share."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .ranges import require


@dataclass(frozen=True)
class Interval:
    """Start and stop as fractions of the steps, 0 <= start <= stop <= 1.

    Source: limited-interval guidance, arXiv 2404.07724; the rule of rounding is that of diffusers' guiders.
    """

    start: float = 0.0
    stop: float = 1.0

    def __post_init__(self) -> None:
        require("stop", self.stop, 0.0, 1.0)
        require("start", self.start, 0.0, self.stop)


def covers(interval: Interval, step: int, total: int) -> bool:
    """Whether 0-based `step` of `total` lies in the interval.

    Acting steps are floor(start * total) to floor(stop * total) - 1. Steps past the announced total, which adaptive
    samplers make, count as the last one.
    """
    return _first(interval.start, total) <= min(step, total - 1) < _first(interval.stop, total)


def _first(fraction: float, total: int) -> int:
    # 0.29 * 100 is 28.999999999999996: without the margin the interval would begin one step early.
    return math.floor(fraction * total + 1e-9)
