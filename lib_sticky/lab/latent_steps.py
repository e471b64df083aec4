"""What each sampling step did to the latents: the earliest sign of burn, at no model call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Latents = NDArray[np.floating]


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


def measure_step(guided: Latents, cond: Latents, uncond: Latents | None = None) -> list[LatentStep]:
    """Measure denoised predictions [B, C, ...], all images at once; gap and alignment are 0 without an uncond."""
    d, c = _flat(guided), _flat(cond)
    gap = np.zeros_like(c) if uncond is None else c - _flat(uncond)
    size = np.abs(d).reshape(len(d), -1)
    power = (c * c).sum(axis=(1, 2))
    columns = (
        size.max(axis=1),
        np.quantile(size, 0.999, axis=1),
        _shares(d.std(axis=2), c.std(axis=2), 1.0),
        d.mean(axis=2) - c.mean(axis=2),
        np.sqrt(_shares((gap * gap).sum(axis=(1, 2)), power, 0.0)),
        _shares((gap * c).sum(axis=(1, 2)), power, 0.0),
        np.sqrt(np.square(d - c).mean(axis=(1, 2))),
    )
    return [
        LatentStep(peak, p999, tuple(deviation), tuple(shift), *rest)
        for peak, p999, deviation, shift, *rest in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _flat(values: Latents) -> Latents:
    """[B, C, ...] as [B, C, N]."""
    return values.reshape(*values.shape[:2], -1)


def _shares(values: Latents, reference: Latents, empty: float) -> Latents:
    """values / reference, and `empty` where the reference is 0."""
    return np.divide(values, reference, out=np.full_like(values, empty), where=reference > 0)
