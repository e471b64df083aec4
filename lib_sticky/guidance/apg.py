"""Adaptive projected guidance: turn down the part of the guidance that only brightens and saturates."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .ranges import require
from .reductions import dot, norm, ratio, scaled


@dataclass(frozen=True)
class Apg:
    """eta: share kept of the part parallel to the conditional prediction (1 = all, as in CFG; the paper uses 0).

    norm_limit: greatest Euclidean norm of the displacement of an image, 0 for none (the paper uses 2.5 to 15).
    momentum: weight of the earlier displacements (the paper uses about -0.5; 0 for none).
    """

    eta: float = 0.0
    norm_limit: float = 0.0
    momentum: float = 0.0

    def __post_init__(self) -> None:
        require("APG eta", self.eta, 0.0)
        require("APG norm limit", self.norm_limit, 0.0)
        require("APG momentum", self.momentum, -1.0, 1.0)


def is_identity(settings: Apg) -> bool:
    """Whether the settings leave every displacement alone."""
    return settings.eta == 1 and settings.norm_limit == 0 and settings.momentum == 0


def project(
    displacement: Tensor, cond: Tensor, settings: Apg, average: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """The displacement that takes the place of D_c - D_u, and the running average for the next step.

    a = displacement + momentum * a;  a' = a * min(1, limit / |a|);  update = perpendicular + eta * parallel, where
    parallel is the projection of a' on D_c. The guided prediction is D_c + (w - 1) * update.
    All predictions are denoised images (x0), not noise: the split is about the picture's own direction.
    Source: Sadat et al., arXiv 2410.02416, algorithm 1.
    """
    if is_identity(settings):
        return displacement, None
    if settings.momentum and average is not None:
        displacement = displacement + settings.momentum * average
    carried = displacement if settings.momentum else None
    if settings.norm_limit:
        room = ratio(norm(displacement).new_full((len(displacement),), settings.norm_limit), norm(displacement), 1.0)
        displacement = scaled(displacement, room.clamp(max=1.0))
    along = ratio(dot(displacement, cond), dot(cond, cond), empty=0.0)
    return displacement - scaled(cond, along * (1 - settings.eta)), carried
