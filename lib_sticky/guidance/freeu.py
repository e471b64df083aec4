"""FreeU: stronger backbone features and weaker low frequencies of the skips, in the decoder of a UNet."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .interval import Interval
from .ranges import require


@dataclass(frozen=True)
class FreeU:
    """b1, s1 for the widest decoder stage (1280 channels in SD and SDXL), b2, s2 for the next (640); 1 is off.

    version 1 multiplies the first half of the backbone's channels evenly, 2 where the mean feature is strong.
    No further model row: the features of every row change.
    """

    b1: float
    b2: float
    s1: float
    s2: float
    version: int = 2
    interval: Interval = Interval()

    def __post_init__(self) -> None:
        for name, value in (("b1", self.b1), ("b2", self.b2), ("s1", self.s1), ("s2", self.s2)):
            require(f"FreeU {name}", value, 0.0)
        if self.version not in (1, 2):
            raise ValueError(f"FreeU version is {self.version!r}; use 1 or 2")


def is_identity(settings: FreeU) -> bool:
    """Whether all four factors are 1."""
    return settings.b1 == settings.b2 == settings.s1 == settings.s2 == 1


def backbone(features: Tensor, factor: float, version: int) -> Tensor:
    """The first half of the channels [B, C, H, W] times b (version 1) or (b - 1) n + 1 (version 2).

    n is the mean over channels, brought to 0 to 1 for each image; a flat map has n = 0.
    Source: Si et al., arXiv 2309.11497, and ChenyangSi/FreeU for version 2.
    """
    if factor == 1:
        return features
    half = features.shape[1] // 2
    gain = factor if version == 1 else _strength_map(features) * (factor - 1) + 1
    return torch.cat([(features[:, :half] * gain).to(features.dtype), features[:, half:]], dim=1)


def skip(features: Tensor, factor: float) -> Tensor:
    """The four lowest frequencies (-1 and 0 along each axis) of [B, C, H, W] times s.

    Equals the paper's masked FFT with threshold 1, written as x + (s - 1) * lowpass(x) so that it needs no FFT, which
    DirectML and older MPS lack.
    """
    if factor == 1:
        return features
    work = features.to(torch.promote_types(features.dtype, torch.float32))
    height, width = features.shape[-2:]
    even_down, odd_down = (part.to(work) for part in _lowest(height))
    even_across, odd_across = (part.to(work) for part in _lowest(width))
    low = even_down @ work @ even_across.T - odd_down @ work @ odd_across.T
    return (work + low * (factor - 1)).to(features.dtype)


def _strength_map(features: Tensor) -> Tensor:
    mean = features.float().mean(dim=1, keepdim=True)
    low = mean.amin(dim=(-2, -1), keepdim=True)
    span = mean.amax(dim=(-2, -1), keepdim=True) - low
    return (mean - low) / torch.where(span == 0, torch.ones_like(span), span)


def _lowest(size: int) -> tuple[Tensor, Tensor]:
    """Real and imaginary part of the projection of an axis on the frequencies 0 and -1; each [size, size]."""
    place = torch.arange(size, dtype=torch.float64)
    angle = (place.unsqueeze(1) - place) * (2 * math.pi / size)
    return (1 + angle.cos()) / size, -angle.sin() / size
