"""How well a score puts the kept pictures before the rejected ones, and how far that figure can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from .intervals import Estimate


def auc(kept: ArrayLike, rejected: ArrayLike) -> float:
    """Share of (kept, rejected) pairs in which the kept one scores higher, ties counting half. ValueError if empty."""
    positive, negative = np.asarray(kept, dtype=np.float64).ravel(), np.asarray(rejected, dtype=np.float64).ravel()
    if not positive.size or not negative.size:
        raise ValueError("a ranking needs pictures of both kinds")
    ahead = positive[:, None] - negative[None]
    return float((ahead > 0).mean() + (ahead == 0).mean() / 2)


def auc_estimate(kept: ArrayLike, rejected: ArrayLike, confidence: float = 0.95) -> Estimate:
    """`auc` and its score-type interval, which has a width also at 0 and 1.

    Source: Newcombe 2006, part 2, method 5: Hanley & McNeil's variance with (m + n) / 2 for both counts, taken at the
    bound and not at the estimate.
    """
    value = auc(kept, rejected)
    counts = np.size(kept), np.size(rejected)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)

    def outside(bound: float) -> float:
        return abs(value - bound) - z * math.sqrt(_variance(bound, *counts))

    return Estimate(value, _root(outside, 0.0, value), _root(lambda bound: -outside(bound), value, 1.0))


def _variance(value: float, first: int, second: int) -> float:
    others = (first + second) / 2 - 1
    spread = 1 + others * (1 - value) / (2 - value) + others * value / (1 + value)
    return value * (1 - value) * spread / (first * second)


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that is at first above zero falls below it, between `low` and `high`."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
