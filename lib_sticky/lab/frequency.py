"""Fine detail, where burn shows as noise, halos and too few tones."""

from __future__ import annotations

import math

import numpy as np

from .pictures import Floats
from .planes import Planes

_NOTHING = 1e-12
_REACH, _PLATEAU = 4, 6


def high_frequency_share(planes: Planes) -> float:
    """Share of the luma's power, without its mean, above half the Nyquist frequency; Hann-windowed, 0 to 1."""
    power, radius = planes.spectrum
    total = power.sum()
    return float(power[radius > 0.25].sum() / total) if total > _NOTHING else 0.0


def spectral_slope(planes: Planes) -> float:
    """Slope of log power over log frequency, by least squares over rings from 3 cycles a picture to Nyquist.

    Photographs have about -2, white noise 0. 0 for a picture without detail or smaller than 16 pixels.
    """
    power, radius = planes.spectrum
    size = min(power.shape)
    if size < 16 or power.sum() <= _NOTHING:
        return 0.0
    rings = np.round(radius * size).astype(np.int64).ravel()
    wanted = np.arange(3, size // 2)
    means = np.bincount(rings, power.ravel(), size)[wanted] / np.bincount(rings, minlength=size)[wanted]
    kept = means > 0
    return float(np.polyfit(np.log(wanted[kept]), np.log(means[kept]), 1)[0]) if kept.sum() > 1 else 0.0


def sharpness(planes: Planes) -> float:
    """Variance of the 4-neighbour Laplacian of the luma; 0 for pictures smaller than 3 pixels."""
    values = planes.luma
    if min(values.shape) < 3:
        return 0.0
    down, across = np.diff(values, 2, axis=0)[:, 1:-1], np.diff(values, 2, axis=1)[1:-1]
    return float((down + across).var())


def noise(planes: Planes) -> float:
    """Standard deviation of white noise in the luma: sqrt(pi / 2) / 6 times mean |I * N|, N = [1 -2 1]^T [1 -2 1].

    Source: Immerkaer 1996. Fine texture counts as noise. 0 for pictures smaller than 3 pixels.
    """
    values = planes.luma
    if min(values.shape) < 3:
        return 0.0
    crossed = np.diff(np.diff(values, 2, axis=0), 2, axis=1)
    return float(math.sqrt(math.pi / 2) / 6 * np.abs(crossed).mean())


def halo(planes: Planes) -> float:
    """Mean overshoot beside strong edges, as a share of the edge's height; 0 for clean steps.

    Where the luma changes by more than 0.2 from one pixel of a row or column to the next, how far the nearest four
    pixels on either side go beyond the level of the fifth and sixth.
    """
    values = planes.luma
    found = np.concatenate([_overshoots(values), _overshoots(values.T)])
    return float(found.mean()) if found.size else 0.0


def posterisation(planes: Planes) -> float:
    """Share of empty bins between the lowest and the highest occupied one of 256 luma bins, 0 to 1."""
    used = np.flatnonzero(planes.tones)
    return float(1 - len(used) / (used[-1] - used[0] + 1))


def _overshoots(values: Floats) -> Floats:
    """Both overshoots of every strong step along the rows."""
    step = np.diff(values, axis=1)
    inside = step[:, _PLATEAU - 1 : step.shape[1] - _PLATEAU + 1]
    row, place = np.nonzero(np.abs(inside) > 0.2)
    place = place + _PLATEAU - 1
    profile = values[row[:, None], place[:, None] + np.arange(1 - _PLATEAU, _PLATEAU + 1)]
    profile = profile * np.sign(step[row, place])[:, None]
    before, after = profile[:, :2].mean(axis=1), profile[:, -2:].mean(axis=1)
    height = np.maximum(after - before, 0.2)
    over = profile[:, _PLATEAU : _PLATEAU + _REACH].max(axis=1) - after
    under = before - profile[:, _PLATEAU - _REACH : _PLATEAU].min(axis=1)
    return np.concatenate([np.maximum(over, 0) / height, np.maximum(under, 0) / height])
