"""Diversity of a set of pictures, from small colour and edge features; no trained network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .pictures import Floats, eight_bit, gradients, lab, luma, shrink


def features(picture: Floats) -> Floats:
    """A 32 x 32 L*a*b* thumbnail (over 100) and an 8-direction gradient histogram of each quarter, as one vector.

    Both halves have unit scale, so that distances weigh colour layout and edges alike.
    """
    small = shrink(eight_bit(picture), 32)
    down, across = (np.pad(part, 1) for part in gradients(luma(small / 255)))
    direction = np.minimum((np.mod(np.arctan2(down, across), np.pi) / np.pi * 8).astype(np.int64), 7)
    strength = np.hypot(down, across)
    edges = [
        np.bincount(direction[rows, columns].ravel(), strength[rows, columns].ravel(), 8)
        for rows in (slice(0, 16), slice(16, 32))
        for columns in (slice(0, 16), slice(16, 32))
    ]
    layout = lab(small).ravel() / 100 / np.sqrt(3 * 32 * 32)
    return np.concatenate([layout, np.concatenate(edges) / 256])


def distances(vectors: Sequence[Floats]) -> Floats:
    """Euclidean distance of every pair of features, [n, n]."""
    stacked = np.stack(vectors)
    return np.sqrt(((stacked[:, None] - stacked[None]) ** 2).sum(axis=-1))


def mean_distance(vectors: Sequence[Floats]) -> float:
    """Mean distance over all pairs; 0 for fewer than two pictures."""
    count = len(vectors)
    return float(distances(vectors).sum() / (count * (count - 1))) if count > 1 else 0.0


def similarity(vectors: Sequence[Floats], scale: float) -> Floats:
    """exp(-(distance / scale)^2) of every pair: 1 for equal pictures, near 0 beyond a few `scale`."""
    return np.exp(-((distances(vectors) / scale) ** 2))


def vendi(similarities: Floats) -> float:
    """The effective number of different pictures, 1 to n: exp(-sum l log l) of the eigenvalues l of K / n.

    similarities: symmetric [n, n] with 1 on the diagonal. Source: Friedman & Dieng, arXiv 2210.02410.
    """
    values = np.linalg.eigvalsh(similarities / len(similarities))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))
