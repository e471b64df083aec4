"""Classifier-free guidance, and the sum over the parts of an AND prompt."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def guide(cond: Tensor, uncond: Tensor, scale: float) -> Tensor:
    """D = D_u + w (D_c - D_u).

    Source: Ho & Salimans, arXiv 2207.12598, in the form of A1111's `combine_denoised`. Scale 1 returns `cond` itself.
    """
    if scale == 1:
        return cond
    return uncond + (cond - uncond) * scale


def compose(conds: Sequence[Tensor], weights: Sequence[float], uncond: Tensor) -> Tensor:
    """D_u + sum_i weight_i (D_i - D_u): the one conditional prediction that stands for `a AND b :0.5`.

    Guiding it with scale w gives what A1111 gives for the parts, since w multiplies the whole sum. One part of weight
    1 is returned as it is.
    """
    if len(conds) != len(weights) or not conds:
        raise ValueError(f"{len(conds)} predictions and {len(weights)} weights; give one weight for each prediction")
    if list(weights) == [1]:
        return conds[0]
    total = uncond
    for cond, weight in zip(conds, weights, strict=True):
        total = total + (cond - uncond) * weight
    return total
