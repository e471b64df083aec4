"""Contrast of the luma: over the whole picture and within small windows."""

from __future__ import annotations

import numpy as np

from .planes import Planes


def contrast(planes: Planes) -> float:
    """Standard deviation of the luma, 0 to 0.5."""
    return float(planes.luma.std())


def tonal_range(planes: Planes) -> float:
    """99th minus 1st percentile of the luma, 0 to 1."""
    low, high = np.quantile(planes.luma, [0.01, 0.99])
    return float(high - low)


def local_contrast(planes: Planes) -> float:
    """Mean standard deviation of the luma over 7 x 7 windows: "crunch"."""
    return float(planes.crunch.mean())


def spread(planes: Planes) -> float:
    """Standard deviation of all values. A picture far below what real ones have is blank."""
    return float(planes.channels.std())


def is_blank(planes: Planes, limit: float) -> bool:
    """Whether the channels spread less than `limit` about their own means: a plain ground of any colour.

    A blank picture is sharp, unclipped and clean: no figure on cleanness means anything without the blank rate.
    """
    return bool(np.sqrt(planes.channels.var(axis=(1, 2)).mean()) < limit)


def nothing_stands_out(planes: Planes) -> bool:
    """Whether fewer than one pixel in 200 differs from the median colour by more than 0.2 in some channel.

    A plain or softly shaded ground with no subject on it; what `is_blank` misses.
    """
    far = [np.abs(channel - np.median(channel)) > 0.2 for channel in planes.channels]
    return bool(np.logical_or.reduce(far).mean() < 0.005)
