"""Add difference after smoothing the difference along all axes of the tensor."""

from __future__ import annotations

import itertools
import math

import torch

from .add_difference import Strength
from .registry import Weight, merge_method

RADIUS = 4  # scipy's gaussian_filter cuts at four standard deviations.
BLOCK = 1 << 21  # Elements of the stack of neighbours that a median is taken of at once.


@merge_method(
    label="Smooth add difference",
    kind="tensor",
    formula="A + α·Gauss(σ=1, Median(3, B - C))",
    source="supermerger, calculation mode smoothAdd (scipy.ndimage: median_filter, gaussian_filter, mode reflect)",
)
def smooth_add_difference(
    a: Weight[torch.Tensor], b: Weight[torch.Tensor], c: Weight[torch.Tensor], *, alpha: Strength = 1.0
) -> Weight[torch.Tensor]:
    """Add the difference without its isolated spikes."""
    return a + alpha * gaussian(median3(b - c))


def median3(values: torch.Tensor) -> torch.Tensor:
    """Return the median of each element's neighbourhood of three along every axis; edges repeat."""
    if not values.ndim:
        return values
    offsets = list(itertools.product((-1, 0, 1), repeat=values.ndim))
    rows = max(1, BLOCK // (len(offsets) * max(1, values[0].numel())))
    out = torch.empty_like(values)
    for start in range(0, values.shape[0], rows):
        stop = min(start + rows, values.shape[0])
        stack = torch.stack([_shifted(values, offset, start, stop) for offset in offsets])
        out[start:stop] = stack.median(0).values
    return out


def _shifted(values: torch.Tensor, offset: tuple[int, ...], start: int, stop: int) -> torch.Tensor:
    first = torch.arange(start, stop, device=values.device).add(offset[0]).clamp(0, values.shape[0] - 1)
    moved = values.index_select(0, first)
    for axis, step in enumerate(offset[1:], 1):
        if step:
            place = torch.arange(values.shape[axis], device=values.device).add(step).clamp(0, values.shape[axis] - 1)
            moved = moved.index_select(axis, place)
    return moved


def gaussian(values: torch.Tensor) -> torch.Tensor:
    """Return `values` blurred along every axis with a standard deviation of one element; edges mirror."""
    bell = [math.exp(-0.5 * step * step) for step in range(-RADIUS, RADIUS + 1)]
    weights = [height / sum(bell) for height in bell]
    for axis, length in enumerate(values.shape):
        total = torch.zeros_like(values)
        for step, weight in zip(range(-RADIUS, RADIUS + 1), weights, strict=True):
            place = torch.arange(length, device=values.device).add(step).remainder(2 * length)
            total += weight * values.index_select(axis, torch.minimum(place, 2 * length - 1 - place))
        values = total
    return values
