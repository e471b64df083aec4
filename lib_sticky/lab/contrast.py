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
