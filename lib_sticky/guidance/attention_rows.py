"""Self-attention for rows of a batch that want it done differently, around the host's own attention.

Both act on [rows, tokens, channels], before the heads are split and after they are joined: a blur of the queries acts
on every channel alone, and an identity map gives every head its own values.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import torch
from torch import Tensor

from .seg import blur_queries


class Attention(str, Enum):
    """How a row's self-attention is done."""

    PLAIN = "plain"
    IDENTITY = "identity"
    BLURRED = "blurred"


def rows_of(kind: Attention, kinds: Sequence[Attention], values: Tensor) -> list[int]:
    """The rows of `values` whose kind is `kind`. Raises ValueError unless there is a kind for each row."""
    if len(kinds) != values.shape[0]:
        raise ValueError(f"{values.shape[0]} attention rows, but kinds for {len(kinds)}; give one kind for each row")
    return [i for i, own in enumerate(kinds) if own is kind]


def blur_rows(q: Tensor, kinds: Sequence[Attention], grid: tuple[int, int], sigma: float) -> Tensor:
    """The queries with those of the blurred rows blurred; grid and sigma as for `blur_queries`."""
    rows = rows_of(Attention.BLURRED, kinds, q)
    if not rows:
        return q
    q = q.clone()
    q[rows] = blur_queries(q[rows], grid, sigma)
    return q


def identity_rows(attended: Tensor, v: Tensor, kinds: Sequence[Attention]) -> Tensor:
    """What came out of the attention, with the values themselves in the rows whose attention map is the identity.

    Source: perturbed-attention guidance, Ahn et al., arXiv 2403.17377, equation 13.
    """
    rows = rows_of(Attention.IDENTITY, kinds, attended)
    if not rows:
        return attended
    index = torch.tensor(rows, device=attended.device)
    return attended.index_copy(0, index, v[rows].to(attended.dtype))
