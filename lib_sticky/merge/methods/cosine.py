"""Mixing by how much two models point the same way, column by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np
import torch

from .decompositions import column_cosine, unit_columns, whole_cosine
from .registry import Range, Weight, merge_method

Models = Weight[Mapping[str, torch.Tensor]]
Reluctance = Annotated[float, Range(-1.0, 1.0, 0.05, "how much similarity is discounted; larger takes more of B")]
_SOURCE = "supermerger, calculation modes cosineA and cosineB (1st to 99th percentile over all keys)"
PerKey = Callable[[str, torch.Tensor, torch.Tensor], torch.Tensor]


@merge_method(
    label="Cosine A",
    kind="model",
    formula="lerp(B, A, clip((s - s₁)/(s₉₉ - s₁) - |α|)), s = (column cos + whole cos)/2 of columns of length 1",
    source=_SOURCE,
)
def cosine_a(a: Models, b: Models, *, alpha: Reluctance = 0.0) -> Weight[PerKey]:
    """Keep A where the models agree; the columns are normalised before they are compared as a whole."""
    return _cosine(a, b, alpha, normalise=True)


@merge_method(
    label="Cosine B",
    kind="model",
    formula="lerp(B, A, clip((s - s₁)/(s₉₉ - s₁) - |α|)), s = (column cos + whole cos)/2",
    source=_SOURCE,
)
def cosine_b(a: Models, b: Models, *, alpha: Reluctance = 0.0) -> Weight[PerKey]:
    """Keep A where the models agree."""
    return _cosine(a, b, alpha, normalise=False)


def similarity(a: torch.Tensor, b: torch.Tensor, *, normalise: bool) -> torch.Tensor:
    """Return the mean of the cosines of columns (first axis) and of the whole tensors; 0-d tensors count as one row."""
    if normalise:
        a, b = unit_columns(a), unit_columns(b)
    return (column_cosine(a, b, 0) + whole_cosine(a, b)) / 2


def _cosine(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor], alpha: float, *, normalise: bool) -> PerKey:
    """Look at every tensor once for the range of similarities, then mix each by where it lies in that range."""
    keys = [key for key in a if key in b and not key.startswith("first_stage_model.")]
    seen = [similarity(a[key], b[key], normalise=normalise).flatten().numpy() for key in keys]
    known = np.concatenate([*seen, np.empty(0, np.float32)])
    known = known[np.isfinite(known)]
    low, high = np.percentile(known, [1, 99]) if known.size else (0.0, 1.0)
    span = max(float(high - low), 1e-12)
    mixed = frozenset(keys)

    def mix(key: str, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        if key not in mixed:
            return first
        found = similarity(first, second, normalise=normalise).nan_to_num(nan=float(high))
        keep = ((found - float(low)) / span - abs(alpha)).clamp(0.0, 1.0)
        return torch.lerp(second, first, keep.expand_as(first))

    return mix
