"""Tests on pairs, the correction for many of them, and when a verdict may be given."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .intervals import Estimate

LEAST_PICTURES = 1000
"""Pictures a cell below which no verdict is given: 288 resolve differences of about 6 points at best."""


def sign_test(differences: Sequence[float]) -> float:
    """Two-sided exact p that ups and downs are equally likely; zero differences are left out. 1 without any."""
    ups = sum(value > 0 for value in differences)
    return _even_odds(ups, sum(value < 0 for value in differences))


def mcnemar(first_only: int, second_only: int) -> float:
    """Two-sided exact p that two yes-or-no arms on the same seeds say yes equally often.

    first_only, second_only: seeds on which only that arm said yes. Source: McNemar 1947, in its exact form.
    """
    return _even_odds(first_only, second_only)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the given order. Source: Holm 1979."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        corrected[index] = largest
    return corrected


def verdict(difference: Estimate, corrected_p: float, pictures: int, level: float = 0.05) -> str:
    """ "higher", "lower", "no difference resolved" or "too few pictures".

    corrected_p: of this comparison after `holm`. pictures: of the smaller cell.
    """
    if pictures < LEAST_PICTURES:
        return "too few pictures"
    if corrected_p > level or not difference.excludes_zero():
        return "no difference resolved"
    return "higher" if difference.value > 0 else "lower"


def _even_odds(a: int, b: int) -> float:
    """Two-sided binomial p of a against b at even odds, summed in logarithms so that large counts do not overflow."""
    total, most = a + b, max(a, b)
    if total == 0:
        return 1.0
    whole = math.lgamma(total + 1) - total * math.log(2)
    tail = math.fsum(
        math.exp(whole - math.lgamma(count + 1) - math.lgamma(total - count + 1)) for count in range(most, total + 1)
    )
    return min(1.0, 2 * tail)
