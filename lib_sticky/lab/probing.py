"""What the scale of a sticky negative amounts to, from the empty prompt's prediction on a few steps of the run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lib_sticky.guidance.effective_cfg import dilution, displacement_ratio, effective_scale, gain_for

MOST_SCALE = 60.0
"""The greatest CFG scale that is ever asked for."""

FAMILIAR = 7.0
"""The scale that most people use, for "feels like"."""

_FRACTIONS = (0.1, 0.35, 0.7)


@dataclass(frozen=True)
class Probe:
    """One image on one step: |D_c - D_u| / |D_c - D_0|, and alpha (see guidance/effective_cfg.py)."""

    step: int
    ratio: float
    dilution: float


def probe_steps(steps: int) -> tuple[int, ...]:
    """The 1-based steps that are probed; never the first, whose latents no step before it has left. Needs 2 steps."""
    return tuple(sorted({min(steps, max(2, round(steps * fraction))) for fraction in _FRACTIONS}))


def probed(step: int, cond: Any, uncond: Any, null: Any) -> list[Probe]:
    """A probe for each image from three predictions [B, C, h, w]; `uncond` is None where it was not run.

    It is not run where it equals the positive or the scale is 1: then it displaces nothing.
    """
    away = cond if uncond is None else uncond
    found = zip(displacement_ratio(cond, away, null), dilution(cond, away, null), strict=True)
    return [Probe(step, float(ratio), float(alpha)) for ratio, alpha in found]


def matched_scale(scale: float, ratios: Sequence[float]) -> float:
    """The scale that pushes as far with an empty negative, at the median of the ratios; two decimals, a job's most.

    Raises ValueError without a measurement.
    """
    if not ratios:
        raise ValueError("no probe step was measured; run the empty prompt on at least one step")
    return min(MOST_SCALE, round(effective_scale(scale, statistics.median(ratios)), 2))


def feeling(target: float, scale: float, ratios: Sequence[float]) -> tuple[float, str]:
    """The CFG scale at which the negative pushes as far as `target` does without one, and that in words.

    scale: the one that was measured at. Raises ValueError without a measurement.
    """
    found = round(gain_for(target, ratios, MOST_SCALE), 2)
    now = effective_scale(scale, statistics.median(ratios))
    reached = (
        f"for CFG {target:g} it is {found:g}"
        if found < MOST_SCALE
        else f"for CFG {target:g} even {MOST_SCALE:g} is too little"
    )
    return found, f"CFG {scale:g} with this negative pushes as far as CFG {now:.3g} without one; {reached}"
