"""Intervals: how far a share, a median or a paired difference can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from .pictures import Floats


@dataclass(frozen=True)
class Estimate:
    """A value and its interval."""

    value: float
    low: float
    high: float

    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Estimate:
    """A share and its score interval; without trials the share is NaN and the interval 0 to 1.

    Source: Wilson 1927. Raises ValueError unless 0 <= successes <= trials.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no share; successes must be 0 to the number of trials")
    if trials == 0:
        return Estimate(math.nan, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def bootstrap(
    values: ArrayLike,
    statistic: Callable[..., Floats] = np.mean,
    confidence: float = 0.95,
    rounds: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Percentile bootstrap of a statistic that takes `axis` (np.mean, np.median); seeded, so that reports repeat.

    For a comparison give the differences of pairs (same seed, two arms): resampling pairs keeps them paired. Raises
    ValueError without values, or where one is not finite.
    """
    data = np.asarray(values, dtype=np.float64).ravel()
    if not data.size or not np.isfinite(data).all():
        raise ValueError(f"{data.size} values, {int((~np.isfinite(data)).sum())} not finite: nothing to resample")
    rng = np.random.default_rng(seed)
    # A few rounds at a time: 2,000 x 10,000 indices at once would take 160 MB.
    block = max(1, 1_000_000 // data.size)
    found = [
        statistic(data[rng.integers(0, data.size, (min(block, rounds - start), data.size))], axis=1)
        for start in range(0, rounds, block)
    ]
    low, high = np.quantile(np.concatenate(found), [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Estimate(float(statistic(data, axis=0)), float(low), float(high))
