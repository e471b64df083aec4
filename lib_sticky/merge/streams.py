"""First passes over a tensor: what robust methods must know before they can write, in memory O(piece x N)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch

from .operands import PIECE, Form, Scratch, read_forms

PIECE_BYTES = 1 << 26  # Of float32 rows held at once by one worker.


def piece_length(rows: int) -> int:
    """Return how many elements of `rows` float32 rows a worker holds at once: a multiple of 64, at most PIECE."""
    return max(64, min(PIECE, PIECE_BYTES // (4 * rows) // 64 * 64))


def pieces(numel: int, rows: int) -> Iterator[tuple[int, int]]:
    """Cut `numel` elements into (start, count) so that `rows` float32 rows of a piece fit the worker's share."""
    length = piece_length(rows)
    return ((start, min(length, numel - start)) for start in range(0, numel, length))


def gram_form(
    solve: Callable[[torch.Tensor], torch.Tensor], inputs: Sequence[Form], shape: Sequence[int], scratch: Scratch
) -> Form:
    """Return the sum of `inputs` with the weights that `solve` finds from their inner products."""
    gram = gram_matrix(inputs, math.prod(shape), scratch)
    total = Form()
    for form, weight in zip(inputs, solve(gram).tolist(), strict=True):
        total = total + weight * form
    return total


def gram_matrix(inputs: Sequence[Form], numel: int, scratch: Scratch) -> torch.Tensor:
    """Return the N x N float64 inner products of whole tensors, read in pieces.

    Products are taken of x0 and of xi - x0: what float32 loses on the long common part is then the same in every
    entry, and distances between models, which are short, keep their digits.
    """
    count = len(inputs)
    relative = [inputs[0], *(form - inputs[0] for form in inputs[1:])]
    gram = torch.zeros(count, count, dtype=torch.float64)
    for start, length in pieces(numel, count):
        with scratch.borrow(count * length) as flat:
            rows = flat.view(count, length)
            read_forms(relative, start, rows, scratch)
            rows = rows.to(scratch.device)
            gram += (rows @ rows.T).double().cpu()
    return from_anchor(gram)


def from_anchor(gram: torch.Tensor) -> torch.Tensor:
    """Turn the inner products of (x0, x1 - x0, ...) into those of (x0, x1, ...)."""
    change = torch.eye(gram.shape[0], dtype=gram.dtype)
    change[1:, 0] = 1.0
    return change @ gram @ change.T
