"""Content: hints that a picture shows something. Each is weak alone; together they feed a user's own classifier."""

from __future__ import annotations

import zlib

import numpy as np

from .pictures import lab, shrink, window_mean
from .planes import WINDOW, Planes
from .png import up_filtered

_EDGE = 0.05


def entropy(planes: Planes) -> float:
    """Entropy of the 256-bin luma histogram, 0 to 8 bits."""
    share = planes.tones[planes.tones > 0] / planes.pixels
    return float(-(share * np.log2(share)).sum()) + 0.0


def flat_area(planes: Planes) -> float:
    """Share of 7 x 7 windows whose luma deviates by less than 2 of 255."""
    return float((planes.crunch < 2 / 255).mean())


def edge_density(planes: Planes) -> float:
    """Share of pixels where the luma changes by more than 0.05 a pixel."""
    down, across = planes.slopes
    return float((down * down + across * across > _EDGE**2).mean())


def edge_coherence(planes: Planes) -> float:
    """How much neighbouring gradients agree in direction, 0 to 1, weighted by their strength.

    (l1 - l2) / (l1 + l2) of the structure tensor over 7 x 7 windows: 1 for stripes, low for noise. 0 without gradients.
    """
    down, across = planes.slopes
    yy, xx, xy = (window_mean(product, WINDOW) for product in (down * down, across * across, down * across))
    total = (yy + xx).sum()
    return float(np.sqrt(np.square(yy - xx) + 4 * xy * xy).sum() / total) if total > 1e-12 else 0.0


def png_bytes(planes: Planes) -> float:
    """Bytes a pixel of the 8-bit PNG whose rows are all filtered "up", packed by zlib's run lengths.

    That tells pictures apart as well as the best filter for every row does, in a fifth of the time.
    """
    packer = zlib.compressobj(1, strategy=zlib.Z_RLE)
    return len(packer.compress(up_filtered(planes.eight_bit)) + packer.flush()) / planes.pixels


def compactness(planes: Planes) -> float:
    """How closely the salient parts lie together, 0 (spread evenly) to 1 (one spot).

    1 - variance of the salient place / variance of an even spread. Salient is what differs from the mean colour in
    CIE L*a*b* by more than the average pixel, at 64 x 64 (Achanta et al. 2009).
    """
    colours = lab(shrink(planes.eight_bit, 64))
    away = np.sqrt(((colours - colours.mean(axis=(0, 1))) ** 2).sum(axis=-1))
    salient = np.maximum(away - away.mean(), 0)
    if salient.sum() <= 1e-6:
        return 0.0
    weight = salient / salient.sum()
    place = np.arange(64) - 31.5
    variance = sum(share @ place**2 - (share @ place) ** 2 for share in (weight.sum(axis=0), weight.sum(axis=1)))
    return float(np.clip(1 - variance / (2 * (place**2).mean()), 0, 1))


def stripes(planes: Planes) -> float:
    """How regularly busy and calm rows alternate, 0 to 1: text-like lines.

    Greatest autocorrelation, at lags of 4 rows to a third of the height, of each row's horizontal change.
    """
    rows = np.abs(np.diff(planes.luma, axis=1)).sum(axis=1)
    rows = rows - rows.mean()
    power = (rows**2).sum()
    lags = range(4, len(rows) // 3)
    if power <= 1e-12 or not lags:
        return 0.0
    norms = [np.sqrt((rows[:-lag] ** 2).sum() * (rows[lag:] ** 2).sum()) for lag in lags]
    found = [rows[:-lag] @ rows[lag:] / norm for lag, norm in zip(lags, norms, strict=True) if norm > 0]
    return float(np.clip(max(found, default=0.0), 0, 1))
