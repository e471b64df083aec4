"""Gaussian blur of maps as one matrix for each axis: any size, dtype and device, and the mean as its limit."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gaussian(maps: Tensor, sigma: float, taps: int) -> Tensor:
    """Blur the last two dimensions with a Gaussian of `sigma` pixels, `taps` wide, reflected at the edges.

    sigma 0 returns the maps themselves, sigma infinite their mean. An axis too short for the kernel shortens it to
    the size (one more if even), the rule of the SEG authors' code.
    """
    if sigma == 0:
        return maps
    work = maps.to(torch.promote_types(maps.dtype, torch.float32))
    height, width = maps.shape[-2:]
    down = _matrix(height, sigma, taps).to(work)
    across = _matrix(width, sigma, taps).to(work)
    return (down @ work @ across.T).to(maps.dtype)


def _matrix(size: int, sigma: float, taps: int) -> Tensor:
    """[size, size], rows summing to 1: row i holds the kernel around i."""
    if sigma == math.inf:
        return torch.full((size, size), 1 / size, dtype=torch.float64)
    half = min(taps, size + 1 - size % 2) // 2
    offsets = torch.arange(-half, half + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    place = (torch.arange(size).unsqueeze(1) + offsets.long()).abs()
    place = torch.where(place >= size, 2 * (size - 1) - place, place)
    spread = torch.zeros((size, size), dtype=torch.float64)
    return spread.scatter_add_(1, place, (kernel / kernel.sum()).expand(size, -1).contiguous())
