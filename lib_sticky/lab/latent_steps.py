"""What each sampling step did to the latents: the earliest sign of burn, at no model call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .pictures import Floats


@dataclass(frozen=True)
class LatentStep:
    """One image on one step; sizes in units of the latents, which have about unit variance.

    peak, p999: greatest and 99.9th percentile of |D|. deviation, mean_shift: per channel, std(D) / std(D_c) and
    mean(D) - mean(D_c). gap: |D_c - D_u| / |D_c|. alignment: <D_c - D_u, D_c> / |D_c|^2, positive where guidance adds
    contrast. push: root mean square of D - D_c.
    """

    peak: float
    p999: float
    deviation: tuple[float, ...]
    mean_shift: tuple[float, ...]
    gap: float
    alignment: float
    push: float


def measure_step(guided: ArrayLike, cond: ArrayLike, uncond: ArrayLike | None = None) -> LatentStep:
    """Measure denoised predictions [C, ...] of one image; gap and alignment are 0 without an uncond."""
    d, c = np.asarray(guided, dtype=np.float64), np.asarray(cond, dtype=np.float64)
    gap = np.zeros_like(c) if uncond is None else c - np.asarray(uncond, dtype=np.float64)
    flat_d, flat_c = d.reshape(len(d), -1), c.reshape(len(c), -1)
    power = float((c**2).sum())
    return LatentStep(
        peak=float(np.abs(d).max()),
        p999=float(np.quantile(np.abs(d), 0.999)),
        deviation=_shares(flat_d.std(axis=1), flat_c.std(axis=1)),
        mean_shift=tuple((flat_d.mean(axis=1) - flat_c.mean(axis=1)).tolist()),
        gap=float(np.sqrt((gap**2).sum() / power)) if power else 0.0,
        alignment=float((gap * c).sum() / power) if power else 0.0,
        push=float(np.sqrt(((d - c) ** 2).mean())),
    )


def _shares(values: Floats, reference: Floats) -> tuple[float, ...]:
    return tuple(np.divide(values, reference, out=np.ones_like(values), where=reference > 0).tolist())
