"""Burn: values at the ends of the range, and too much saturation."""

from __future__ import annotations

import numpy as np

from .pictures import lab
from .planes import Planes

_HIGH, _LOW = 254 / 255, 1 / 255


def clipped_high(planes: Planes) -> float:
    """Share of pixels with any channel at 254 or 255."""
    return float((planes.strongest >= _HIGH).mean())


def clipped_low(planes: Planes) -> float:
    """Share of pixels with any channel at 0 or 1."""
    return float((planes.weakest <= _LOW).mean())


def blown_highlights(planes: Planes) -> float:
    """Share of pixels with every channel at 254 or 255."""
    return float((planes.weakest >= _HIGH).mean())


def crushed_blacks(planes: Planes) -> float:
    """Share of pixels with every channel at 0 or 1."""
    return float((planes.strongest <= _LOW).mean())


def saturation(planes: Planes) -> float:
    """Mean HSV saturation weighted by value, 0 to 1: sum of (max - min) over sum of max. Black has none."""
    total = planes.strongest.sum()
    return float((planes.strongest - planes.weakest).sum() / total) if total else 0.0


def saturation_p95(planes: Planes) -> float:
    """The HSV saturation that 95 % of the picture's value lies at or below, 0 to 1."""
    strongest = planes.strongest.ravel()
    spread = strongest - planes.weakest.ravel()
    each = np.divide(spread, strongest, out=np.zeros_like(spread), where=strongest > 0)
    order = np.argsort(each)
    weight = strongest[order].cumsum()
    return float(each[order][np.searchsorted(weight, 0.95 * weight[-1])]) if weight[-1] else 0.0


def chroma_p95(planes: Planes) -> float:
    """95th percentile of the chroma of CIE L*a*b*."""
    return float(np.quantile(np.sqrt(np.square(lab(planes.eight_bit)[..., 1:]).sum(axis=-1)), 0.95))
