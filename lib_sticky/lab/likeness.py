"""Likeness of two pictures, and near-duplicates."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from .colour import histogram
from .pictures import Floats, eight_bit, luma, shrink, window_mean


def ssim(a: Floats, b: Floats) -> float:
    """Structural similarity of the luma over 7 x 7 windows, -1 to 1; 1 for equal pictures.

    Source: Wang et al. 2004, K1 = 0.01, K2 = 0.03, even windows. Raises ValueError for pictures of different size.
    """
    if a.shape != b.shape:
        raise ValueError(f"SSIM needs pictures of one size, not {a.shape[:2]} and {b.shape[:2]}")
    x, y = luma(a), luma(b)
    mean_x, mean_y = window_mean(x, 7), window_mean(y, 7)
    var_x, var_y = window_mean(x * x, 7) - mean_x**2, window_mean(y * y, 7) - mean_y**2
    both = window_mean(x * y, 7) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    value = (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return float(value.mean())


def histogram_distance(a: Floats, b: Floats) -> float:
    """Chi-squared distance of the colour histograms, 0 (same) to 1 (no shared bin): sum (p - q)^2 / (p + q) / 2."""
    p, q = histogram(a), histogram(b)
    total = np.where(p + q == 0, 1, p + q)
    return float(((p - q) ** 2 / total).sum() / 2 / 3)


def identity(picture: Image.Image) -> str:
    """sha256 of size and 8-bit RGB values: the same however the picture was saved."""
    return hashlib.sha256(f"{picture.width}x{picture.height}:".encode() + picture.convert("RGB").tobytes()).hexdigest()


def perceptual_hash(picture: Floats) -> int:
    """64 bits of the coarse structure: which of the 8 x 8 lowest cosines of 32 x 32 luma exceed their median."""
    values = luma(shrink(eight_bit(picture), 32) / 255)
    basis = np.cos(np.pi * np.outer(np.arange(8), np.arange(32) + 0.5) / 32)
    low = (basis @ (values - values.mean()) @ basis.T).ravel()
    return int("".join("1" if value > np.median(low) else "0" for value in low), 2)


def hash_distance(a: int, b: int) -> int:
    """Bits in which two hashes differ, 0 to 64; up to about 6 are near-duplicates."""
    return (a ^ b).bit_count()
