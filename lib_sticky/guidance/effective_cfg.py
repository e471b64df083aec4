"""What CFG scale a negative amounts to: the size of its displacement against that of an empty negative."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from torch import Tensor

from .reductions import dot, norm, ratio


def displacement_ratio(cond: Tensor, uncond: Tensor, null: Tensor) -> Tensor:
    """|D_c - D_u| / |D_c - D_0| of each image, [B]; D_0 is the prediction for the empty prompt.

    0 where the prompt itself displaces nothing, since no scale acts there.
    """
    return ratio(norm(cond - uncond), norm(cond - null), empty=0.0)


def effective_scale(scale: float, measured: float) -> float:
    """The scale that would push as far with an empty negative: 1 + (w - 1) * ratio."""
    return 1 + (scale - 1) * measured


def gain_for(target: float, measured: Sequence[float], ceiling: float) -> float:
    """The CFG scale whose effective scale is `target` at the median of the measured ratios, at most `ceiling`.

    Returns the ceiling where the negative displaces nothing. Raises ValueError without a measurement.
    """
    if not measured:
        raise ValueError("no probe step was measured; run the empty prompt on at least one step")
    middle = statistics.median(measured)
    if middle <= 0:
        return ceiling
    return min(ceiling, 1 + (target - 1) / middle)


def dilution(cond: Tensor, uncond: Tensor, null: Tensor) -> Tensor:
    """Alpha, [B]: the share of the prompt's displacement that the tracked negative has too.

    <D_u - D_0, D_c - D_0> / |D_c - D_0|^2. With alpha the prompt is guided at 1 + (w - 1)(1 - alpha). What the terms
    share with the prompt's direction is counted in.
    """
    prompt = cond - null
    return ratio(dot(uncond - null, prompt), dot(prompt, prompt), empty=0.0)
