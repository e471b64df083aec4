"""CFG rescale: give the guided prediction back the contrast of the conditional one."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .ranges import require
from .reductions import deviation, ratio, scaled


@dataclass(frozen=True)
class Rescale:
    """phi: 0 leaves the prediction alone, 1 gives it the standard deviation of the conditional one."""

    phi: float

    def __post_init__(self) -> None:
        require("rescale phi", self.phi, 0.0, 1.0)


def rescale(guided: Tensor, cond: Tensor, settings: Rescale) -> Tensor:
    """phi * D * std(D_c) / std(D) + (1 - phi) * D, with the deviations of each whole image.

    Source: Lin et al., arXiv 2305.08891, section 3.4. A constant prediction has no contrast to change and is returned
    as it is.
    """
    if settings.phi == 0:
        return guided
    factor = ratio(deviation(cond), deviation(guided), empty=1.0)
    return scaled(guided, settings.phi * factor + (1 - settings.phi))
