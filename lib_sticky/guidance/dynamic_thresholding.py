"""Dynamic thresholding for latents: guide at a high scale, keep the spread that a lower scale would have had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .cfg import guide
from .ranges import require
from .reductions import precise, ratio


@dataclass(frozen=True)
class DynamicThresholding:
    """The settings of mcmonkeyprojects/sd-dynamic-thresholding, constant in time.

    mimic: CFG scale whose spread is kept. percentile: share of the values, 0 to 1, that the clamp leaves alone.
    phi: 0 keeps plain CFG, 1 the thresholded result. variability: AD (largest distance from the mean) or STD.
    startpoint: MEAN (spread is measured and changed around each channel's mean) or ZERO (the values themselves are
    multiplied). separate_channels: one spread a channel instead of one an image.
    """

    mimic: float
    phi: float = 1.0
    percentile: float = 1.0
    variability: Literal["AD", "STD"] = "AD"
    startpoint: Literal["MEAN", "ZERO"] = "MEAN"
    separate_channels: bool = True

    def __post_init__(self) -> None:
        require("dynamic thresholding mimic", self.mimic, 0.0)
        require("dynamic thresholding phi", self.phi, 0.0, 1.0)
        require("dynamic thresholding percentile", self.percentile, 0.0, 1.0)
        if self.variability not in ("AD", "STD"):
            raise ValueError(f"dynamic thresholding variability is {self.variability!r}; use AD or STD")
        if self.startpoint not in ("MEAN", "ZERO"):
            raise ValueError(f"dynamic thresholding startpoint is {self.startpoint!r}; use MEAN or ZERO")


def is_identity(scale: float, settings: DynamicThresholding) -> bool:
    """Whether the result is plain CFG at `scale` for every prediction."""
    same_spread = settings.variability == "STD" or settings.percentile == 1
    return settings.phi == 0 or (settings.mimic == scale and same_spread)


def threshold(cond: Tensor, uncond: Tensor, scale: float, settings: DynamicThresholding) -> Tensor:
    """phi * T + (1 - phi) * C, where C is CFG at `scale` and T is C with the spread of CFG at `mimic`.

    With M the CFG at mimic, m and k the spreads of M and C around their channel means, s = max(m, k):
    AD and MEAN: T = clamp(C - mean, -s, s) m / s + mean. STD and MEAN: T = (C - mean) m / k + mean. ZERO: T = C m / k.
    Source: dynthres_core.py of sd-dynamic-thresholding. That file takes one spread for the whole batch when channels
    are not separate; here an image's spread is its own. Where C has no spread, T = C.
    """
    guided = guide(cond, uncond, scale)
    if is_identity(scale, settings):
        return guided
    values = precise(guided).flatten(2)
    centred, mean = _centred(values)
    kept = _spread(_centred(precise(guide(cond, uncond, settings.mimic)).flatten(2))[0], settings, 1.0)
    own = _spread(centred, settings, settings.percentile)
    if settings.startpoint == "ZERO":
        result = values * ratio(kept, own, empty=1.0)
    elif settings.variability == "STD":
        result = centred * ratio(kept, own, empty=1.0) + mean
    else:
        most = torch.maximum(kept, own)
        result = centred.clamp(-most, most) * ratio(kept, most, empty=1.0) + mean
    mixed = settings.phi * result + (1 - settings.phi) * values
    return mixed.reshape(guided.shape).to(guided.dtype)


def _centred(values: Tensor) -> tuple[Tensor, Tensor]:
    mean = values.mean(dim=2, keepdim=True)
    return values - mean, mean


def _spread(centred: Tensor, settings: DynamicThresholding, percentile: float) -> Tensor:
    """Spread of [B, C, N] as [B, C, 1] or [B, 1, 1]."""
    if not settings.separate_channels:
        centred = centred.flatten(1).unsqueeze(1)
    if settings.variability == "STD":
        return centred.square().mean(dim=2, keepdim=True).sqrt()
    return _quantile(centred.abs(), percentile)


def _quantile(values: Tensor, fraction: float) -> Tensor:
    """Linear-interpolated quantile over the last dimension; torch.quantile refuses more than 16 million values."""
    if fraction == 1:
        return values.amax(dim=-1, keepdim=True)
    ordered = values.sort(dim=-1).values
    last = ordered.shape[-1] - 1
    below = int(fraction * last)
    above = min(below + 1, last)
    return torch.lerp(ordered[..., below : below + 1], ordered[..., above : above + 1], fraction * last - below)
