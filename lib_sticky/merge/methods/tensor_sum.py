"""Taking a slice of each tensor from another model."""

from __future__ import annotations

from typing import Annotated

import torch

from .registry import Either, Range, merge_method


@merge_method(
    label="Tensor sum",
    kind="tensor",
    formula="rows [β·n, (α + β)·n) of B, the rest of A; wraps round when α + β > 1",
    source="supermerger, calculation mode tensor; sd-mecha, tensor_sum",
)
def tensor_sum(
    a: Either[torch.Tensor],
    b: Either[torch.Tensor],
    *,
    width: Annotated[float, Range(0.0, 1.0, 0.05, "share of rows (first axis) that come from B")] = 0.5,
    offset: Annotated[float, Range(0.0, 1.0, 0.05, "where those rows start")] = 0.0,
) -> Either[torch.Tensor]:
    """Replace a band of rows of A by those of B, instead of mixing numbers."""
    if not a.ndim:
        return b if width > 0.5 else a
    rows = a.shape[0]
    offset = offset % 1.0
    start, stop = round(offset * rows), round((offset + width) * rows)
    index = torch.arange(rows, device=a.device)
    taken = (index >= start) & (index < stop)
    if offset + width > 1.0:
        taken = (index >= start) | (index < round((offset + width - 1.0) * rows))
    return torch.where(taken.view(-1, *[1] * (a.ndim - 1)), b, a)
