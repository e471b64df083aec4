"""Contrast of the luma: over the whole picture and within small windows."""

from __future__ import annotations

import numpy as np

from .pictures import Floats, luma, window_deviation


def contrast(picture: Floats) -> float:
    """Standard deviation of the luma, 0 to 0.5."""
    return float(luma(picture).std())


def tonal_range(picture: Floats) -> float:
    """99th minus 1st percentile of the luma, 0 to 1."""
    low, high = np.quantile(luma(picture), [0.01, 0.99])
    return float(high - low)


def local_contrast(picture: Floats) -> float:
    """Mean standard deviation of the luma over 7 x 7 windows: "crunch"."""
    return float(window_deviation(luma(picture), 7).mean())


def spread(picture: Floats) -> float:
    """Standard deviation of all values. A picture far below what real ones have is blank."""
    return float(picture.std())


def is_blank(picture: Floats, limit: float) -> bool:
    """Whether the spread is below `limit`, for instance the 1st percentile of real pictures.

    A blank picture is sharp, unclipped and clean: no figure on cleanness means anything without the blank rate.
    """
    return spread(picture) < limit


def nothing_stands_out(picture: Floats) -> bool:
    """Whether fewer than one pixel in 200 differs from the median colour by more than 0.2 in some channel.

    A plain or softly shaded ground with no subject on it; what `is_blank` misses.
    """
    away = np.abs(picture - np.median(picture, axis=(0, 1))).max(axis=2)
    return bool((away > 0.2).mean() < 0.005)
