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


def lab(picture: Floats) -> Floats:
    """CIE L*a*b* under D65 of an sRGB picture, [H, W, 3]; L in 0 to 100. Source: IEC 61966-2-1, CIE 15."""
    linear = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = linear @ to_xyz.T / to_xyz.sum(axis=1)
    cube = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(cube, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def shrink(picture: Floats, size: int) -> Floats:
    """The picture averaged down (or repeated up) to size x size, [size, size, 3], in steps of 1/255."""
    image = Image.fromarray(np.round(picture * 255).astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.BOX), dtype=np.float64) / 255


def window_mean(values: Floats, size: int) -> Floats:
    """Mean of every size x size window that lies inside [H, W]; a smaller picture gives one window."""
    height, width = min(size, values.shape[0]), min(size, values.shape[1])
    sums = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    total = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    return total / (height * width)


def window_deviation(values: Floats, size: int) -> Floats:
    """Standard deviation of every window, as `window_mean`."""
    centred = values - values.mean()
    variance = window_mean(centred**2, size) - window_mean(centred, size) ** 2
    return np.sqrt(np.maximum(variance, 0))


def gradients(values: Floats) -> tuple[Floats, Floats]:
    """Central differences down and across, of the inner pixels; zero along an axis shorter than 3."""
    padded = np.pad(values, [(1, 1) if size < 3 else (0, 0) for size in values.shape], mode="edge")
    down = (padded[2:, 1:-1] - padded[:-2, 1:-1]) / 2
    across = (padded[1:-1, 2:] - padded[1:-1, :-2]) / 2
    return down, across
