"""Smoothed-energy guidance: away from a pass whose self-attention queries are blurred."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from .blur import gaussian
from .interval import Interval
from .ranges import require


@dataclass(frozen=True)
class Seg:
    """sigma: blur in tokens, infinity for the mean; 0 is off. scale: as for PAG (the paper fixes 3).

    folded: blur the queries of the negative's own pass instead of running one more; the CFG scale is then the SEG
    scale and `scale` is not used. This is what sd-webui-incantations does, where it was meant for the positive.
    """

    sigma: float = math.inf
    scale: float = 3.0
    folded: bool = False
    interval: Interval = Interval()

    def __post_init__(self) -> None:
        require("SEG sigma", self.sigma, 0.0)
        require("SEG scale", self.scale, 0.0)


def blur_queries(q: Tensor, grid: tuple[int, int], sigma: float) -> Tensor:
    """Queries [..., tokens, channels] blurred over their map of rows x columns; several frames are blurred alone.

    sigma infinite makes every query the mean, so that every token attends alike. The kernel is 6 sigma wide, made odd.
    Source: Hong, arXiv 2408.00760, section 4. diffusers 0.42.1 takes the two branches the wrong way round (the mean
    for a finite sigma).
    """
    if sigma == 0:
        return q
    taps = 1 if sigma == math.inf else math.ceil(6 * sigma) + 1 - math.ceil(6 * sigma) % 2
    maps = q.reshape(*q.shape[:-2], -1, *grid, q.shape[-1]).movedim(-1, -3)
    return gaussian(maps, sigma, taps).movedim(-3, -1).reshape(q.shape)
