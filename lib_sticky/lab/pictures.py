"""One form for all pictures that are measured: float64 RGB in 0 to 1, and what several metrics derive from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]

_LUMA = np.array([0.2126, 0.7152, 0.0722])


def rgb(picture: Image.Image | NDArray[np.generic]) -> Floats:
    """The picture as [H, W, 3] in 0 to 1, from a PIL image, 8-bit integers or floats; grey becomes RGB.

    Raises ValueError for any other shape, an empty picture, and floats outside 0 to 1.
    """
    values = np.asarray(picture.convert("RGB") if isinstance(picture, Image.Image) else picture)
    whole = np.issubdtype(values.dtype, np.integer)
    values = values.astype(np.float64) / (255 if whole else 1)
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    if values.ndim != 3 or values.shape[2] != 3 or values.size == 0:
        raise ValueError(f"a picture of shape {values.shape} cannot be measured; give height x width x 3")
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"picture values run from {values.min():g} to {values.max():g}; give 0 to 1, or 8-bit integers"
        )
    return values


def luma(picture: Floats) -> Floats:
    """Rec. 709 luma of the gamma-coded values, [H, W] in 0 to 1."""
    return picture @ _LUMA


_CODED = np.arange(256) / 255
_LINEAR = np.where(_CODED <= 0.04045, _CODED / 12.92, ((_CODED + 0.055) / 1.055) ** 2.4)
"""Light of each 8-bit value of sRGB. Source: IEC 61966-2-1."""

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_TO_WHITE = (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T


def lab(picture: NDArray[np.uint8]) -> Floats:
    """CIE L*a*b* under D65 of an 8-bit sRGB picture, [H, W, 3]; L in 0 to 100. Source: CIE 15."""
    xyz = _LINEAR.take(picture) @ _TO_WHITE
    cube = np.cbrt(xyz)
    dark = xyz <= (6 / 29) ** 3
    cube[dark] = xyz[dark] / (3 * (6 / 29) ** 2) + 4 / 29
    x, y, z = np.moveaxis(cube, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def eight_bit(picture: Floats) -> NDArray[np.uint8]:
    """The values as a file holds them, [H, W, 3]."""
    return np.round(picture * 255).astype(np.uint8)


def shrink(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The 8-bit picture averaged down (or repeated up) to size x size, [size, size, 3]."""
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX))


def window_mean(values: Floats, size: int) -> Floats:
    """Mean of every size x size window that lies inside [H, W]; a smaller picture gives one window."""
    height, width = min(size, values.shape[0]), min(size, values.shape[1])
    return _sums(_sums(values, height).T, width).T / (height * width)


def _sums(values: Floats, size: int) -> Floats:
    """Sums of `size` neighbouring rows, by adding rows: three times as fast as running sums, and exact for few."""
    count = len(values) - size + 1
    total = values[:count].copy()
    for start in range(1, size):
        total += values[start : start + count]
    return total


def window_deviation(values: Floats, size: int) -> Floats:
    """Standard deviation of every window, as `window_mean`."""
    centred = values - values.mean()
    variance = window_mean(centred * centred, size) - np.square(window_mean(centred, size))
    return np.sqrt(np.maximum(variance, 0))


def gradients(values: Floats) -> tuple[Floats, Floats]:
    """Central differences down and across, of the inner pixels; zero along an axis shorter than 3."""
    padded = np.pad(values, [(1, 1) if size < 3 else (0, 0) for size in values.shape], mode="edge")
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    across = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    return down, across
