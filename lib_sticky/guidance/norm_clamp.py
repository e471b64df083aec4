"""A limit on how far one step may be pushed away from the undesirable terms."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from .ranges import require
from .reductions import ratio, rms, scaled


@dataclass(frozen=True)
class NormClamp:
    """limit: greatest root mean square of the push of one image, in units of the latents (which have about unit
    variance); infinity is off."""

    limit: float = math.inf

    def __post_init__(self) -> None:
        require("norm clamp limit", self.limit, 0.0)


def clamp(displacement: Tensor, gain: float, settings: NormClamp) -> Tensor:
    """The displacement, shortened where gain * displacement has a root mean square above the limit.

    Images within the limit are returned bit for bit.
    """
    if settings.limit == math.inf or gain == 0:
        return displacement
    size = rms(displacement) * abs(gain)
    room = ratio(size.new_full(size.shape, settings.limit), size, empty=1.0)
    return scaled(displacement, room.clamp(max=1.0))
