"""Burn: values at the ends of the range, and too much saturation."""

from __future__ import annotations

import numpy as np

from .pictures import Floats, lab

_HIGH, _LOW = 254 / 255, 1 / 255


def clipped_high(picture: Floats) -> float:
    """Share of pixels with any channel at 254 or 255."""
    return float((picture >= _HIGH).any(axis=2).mean())


def clipped_low(picture: Floats) -> float:
    """Share of pixels with any channel at 0 or 1."""
    return float((picture <= _LOW).any(axis=2).mean())


def blown_highlights(picture: Floats) -> float:
    """Share of pixels with every channel at 254 or 255."""
    return float((picture >= _HIGH).all(axis=2).mean())


def crushed_blacks(picture: Floats) -> float:
    """Share of pixels with every channel at 0 or 1."""
    return float((picture <= _LOW).all(axis=2).mean())


def saturation(picture: Floats) -> float:
    """Mean HSV saturation weighted by value, 0 to 1: sum of (max - min) over sum of max. Black has none."""
    strongest = picture.max(axis=2)
    total = strongest.sum()
    return float((strongest - picture.min(axis=2)).sum() / total) if total else 0.0


def saturation_p95(picture: Floats) -> float:
    """The HSV saturation that 95 % of the picture's value lies at or below, 0 to 1."""
    strongest = picture.max(axis=2).ravel()
    spread = strongest - picture.min(axis=2).ravel()
    each = np.divide(spread, strongest, out=np.zeros_like(spread), where=strongest > 0)
    order = np.argsort(each)
    weight = strongest[order].cumsum()
    return float(each[order][np.searchsorted(weight, 0.95 * weight[-1])]) if weight[-1] else 0.0


def chroma_p95(picture: Floats) -> float:
    """95th percentile of the chroma of CIE L*a*b*."""
    return float(np.quantile(np.hypot(*np.moveaxis(lab(picture)[..., 1:], -1, 0)), 0.95))
