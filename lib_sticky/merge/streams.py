"""First passes over a tensor: what robust methods must know before they can write, in memory O(piece x N)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch

from .operands import PIECE, Form, Scratch, read_forms

PIECE_BYTES = 1 << 26  # Of float32 rows held at once by one worker.
BAND = 32  # Rows whose products are made at once, at least: fewer make a product of matrices slow.


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
    gram = GramSum(count, scratch.device)
    for start, length in pieces(numel, count):
        with scratch.borrow(count * length) as flat:
            rows = flat.view(count, length)
            read_forms(relative, start, rows, scratch)
            gram.add(rows)
    return from_anchor(gram.total())


class GramSum:
    """The N x N float64 inner products of rows that come a piece at a time."""

    def __init__(self, count: int, device: str) -> None:
        self._device = device
        self._upper = torch.zeros(count, count, dtype=torch.float64)
        step = max(BAND, -(-count // 4))
        self._bands = [(first, min(first + step, count)) for first in range(0, count, step)]

    def add(self, rows: torch.Tensor) -> None:
        """Add the products of `rows` (N x piece, float32): for each band of rows, those with itself and all below."""
        rows = rows.to(self._device)
        for first, last in self._bands:
            self._upper[first:last, first:] += (rows[first:last] @ rows[first:].T).cpu()

    def total(self) -> torch.Tensor:
        """Return the sum so far, whole."""
        upper = self._upper.triu()
        return upper + upper.triu(1).T


def from_anchor(gram: torch.Tensor) -> torch.Tensor:
    """Turn the inner products of (x0, x1 - x0, ...) into those of (x0, x1, ...)."""
    change = torch.eye(gram.shape[0], dtype=gram.dtype)
    change[1:, 0] = 1.0
    return change @ gram @ change.T
