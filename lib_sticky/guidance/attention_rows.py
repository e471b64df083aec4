"""One attention call for rows of a batch that want different attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

import torch
from torch import Tensor

from .pag import attend_identity
from .seg import blur_queries

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class Attention(str, Enum):
    """How a row's self-attention is done."""

    PLAIN = "plain"
    IDENTITY = "identity"
    BLURRED = "blurred"


def attend_rows(
    attend: Attend,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kinds: Sequence[Attention],
    grid: tuple[int, int],
    sigma: float,
) -> Tensor:
    """Self-attention of a batch [rows, ..., tokens, channels] in which row i is done as kinds[i] says.

    attend: the host's own attention of (q, k, v), called once for all rows that need it, not at all if none does.
    grid, sigma: see `blur_queries`; used for blurred rows only.
    """
    if len(kinds) != q.shape[0]:
        raise ValueError(f"{q.shape[0]} attention rows, but kinds for {len(kinds)}; give one kind for each row")
    blurred = [i for i, kind in enumerate(kinds) if kind is Attention.BLURRED]
    attending = [i for i, kind in enumerate(kinds) if kind is not Attention.IDENTITY]
    if blurred:
        q = q.clone()
        q[blurred] = blur_queries(q[blurred], grid, sigma)
    if len(attending) == len(kinds):
        return attend(q, k, v)
    result = attend_identity(q, k, v)
    if not attending:
        return result
    rows = torch.tensor(attending, device=v.device)
    return result.index_copy(0, rows, attend(q[rows], k[rows], v[rows]).to(v.dtype))
