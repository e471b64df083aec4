"""The TIES family in streaming passes: memory O(piece x N), whatever the size of the tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .magnitudes import Magnitudes, bins
from .masks import FULL, uniform_bits
from .methods.della import keep_chance
from .methods.geometric_median import weiszfeld
from .methods.sparsification import Sparsification
from .methods.ties import elected_signs
from .operands import Form, Scratch, read_forms
from .streams import GramSum, pieces

RANKED = 1 << 16  # Elements up to which ranks are found by sorting.
CACHED = 1 << 18  # Elements that are voted on and combined at once: with one copy 2 MB, a core's own cache.


@dataclass(eq=False)
class SparseDeltas:
    """Changes after drop, trim and vote, combined; thresholds, ranks and weights are found before the first read."""

    spec: Sparsification
    inputs: Sequence[Form]
    key: str
    numel: int
    chances: torch.Tensor | None = None
    keep: torch.Tensor | None = None
    bounds: torch.Tensor | None = None
    weights: torch.Tensor | None = None

    def prepare(self, scratch: Scratch) -> None:
        """Make the first passes that the settings need."""
        spec = self.spec
        if spec.spread and self.numel <= RANKED:
            self.chances = self._chances_by_rank(scratch)
        elif spec.spread:
            self.keep = self._keep_by_bin(scratch)
        if spec.low or spec.high:
            self.bounds = self._magnitudes(scratch, dropped=True).bounds((spec.low, spec.high))
        if spec.combine == "median":
            gram = GramSum(len(self.inputs), scratch.device)
            for start, length in pieces(self.numel, len(self.inputs)):
                with scratch.borrow(len(self.inputs) * length) as flat:
                    for rows in self._voted(start, flat.view(-1, length), scratch):
                        gram.add(rows)
            self.weights = weiszfeld(gram.total(), eps=spec.eps, ftol=spec.ftol, maxiter=spec.maxiter)

    def read_into(self, start: int, out: torch.Tensor, scratch: Scratch) -> None:
        for at, length in pieces(out.numel(), len(self.inputs)):
            with scratch.borrow(len(self.inputs) * length) as flat:
                voted = self._voted(start + at, flat.view(-1, length), scratch)
                for rows, part in zip(voted, out[at : at + length].split(self._width), strict=True):
                    self._combine(rows, part, scratch)

    @property
    def _width(self) -> int:
        """Elements of a model that are voted on at once."""
        return max(64, CACHED // len(self.inputs))

    def _voted(self, start: int, rows: torch.Tensor, scratch: Scratch) -> Iterator[torch.Tensor]:
        """Fill `rows` with the changes from `start` on, and yield them after drop, trim and vote, a block at a time."""
        self._dropped(start, rows, scratch)
        if self.bounds is not None:
            self._trim(rows, self.bounds, scratch)
        for block in rows.split(self._width, dim=1):
            if self.spec.vote != "none":
                winner = elected_signs(block, self.spec.vote)
                block.mul_(winner).relu_().mul_(winner)  # Losers come out negative, and zero after that.
            yield block

    def _combine(self, rows: torch.Tensor, out: torch.Tensor, scratch: Scratch) -> None:
        if self.weights is not None:
            torch.mv(rows.T, self.weights.float(), out=out)
        elif self.spec.combine == "agreeing":
            torch.sum(rows, 0, out=out)
            with scratch.borrow(rows.numel()) as left:
                there = torch.ne(rows, 0, out=left.view(rows.shape))  # As floats: whole numbers cost three times.
                out.div_(there.sum(0).clamp_(min=1))
        else:
            torch.sum(rows, 0, out=out).div_(len(self.inputs))
        out.mul_(self.spec.scale)

    def _trim(self, rows: torch.Tensor, bounds: torch.Tensor, scratch: Scratch) -> None:
        """Zero what lies outside `bounds` (models x 2)."""
        if self.spec.low:
            # Hardshrink zeroes its own bound too, which is to stay; it is thrice as quick as a product with a mask.
            below = np.nextafter(bounds[:, 0].numpy(), np.float32(-1)).tolist()
            for row, bound in zip(rows, below, strict=True):
                torch.hardshrink(row, bound, out=row)
        if self.spec.high:
            with scratch.borrow(rows.numel()) as flat:
                work = flat.view(rows.shape)
                rows.mul_(torch.le(torch.abs(rows, out=work), bounds[:, 1:], out=work))

    def _dropped(self, start: int, rows: torch.Tensor, scratch: Scratch) -> None:
        """Fill `rows` with the changes after the random drop."""
        read_forms(self.inputs, start, rows, scratch)
        if not self.spec.probability and not self.spec.spread:
            return
        with scratch.borrow(rows.shape[1], torch.int32) as room:
            for model, row in enumerate(rows):
                draw = uniform_bits(self.spec.seed, self.key, model, start, row.numel())
                values = row.numpy()
                np.multiply(values, draw < self._chance(model, start, row, room), out=values)

    def _chance(self, model: int, start: int, row: torch.Tensor, room: torch.Tensor) -> np.ndarray | int:
        """Return the chance of each element of `row`, which begins at `start`, to be kept, in 1/65536."""
        spec = self.spec
        if not spec.spread:
            return round((1.0 - spec.probability) * FULL)
        if self.chances is not None:
            return self.chances[model, start : start + row.numel()].numpy()
        if self.keep is None:
            raise RuntimeError("ranks are asked for before prepare() has found them")
        return self.keep[model].index_select(0, bins(row, room)).numpy()

    def _magnitudes(self, scratch: Scratch, *, dropped: bool) -> Magnitudes:
        def fill(start: int, rows: torch.Tensor) -> None:
            self._dropped(start, rows, scratch) if dropped else read_forms(self.inputs, start, rows, scratch)

        return Magnitudes(len(self.inputs), self.numel, fill, scratch)

    def _chances_by_rank(self, scratch: Scratch) -> torch.Tensor:
        """Return each model's chance for each element, in 1/65536, by its rank in the whole tensor."""
        ranks = torch.arange(1, self.numel + 1, dtype=torch.float64)
        by_rank = _in_bits(keep_chance(ranks, self.numel, self.spec.probability, self.spec.spread))
        chances = torch.empty(len(self.inputs), self.numel, dtype=torch.int32)
        with scratch.borrow(chances.numel()) as flat:
            rows = flat.view(chances.shape)
            read_forms(self.inputs, 0, rows, scratch)
            for row, found in zip(rows.abs_(), chances, strict=True):
                found[torch.argsort(row, stable=True)] = by_rank
        return chances

    def _keep_by_bin(self, scratch: Scratch) -> torch.Tensor:
        """Return each model's chance for each magnitude bin, in 1/65536, from the mean rank of the bin."""
        counts = self._magnitudes(scratch, dropped=False).histogram()
        used = np.flatnonzero(counts.any(0))  # A tenth of all bins for changes of a common size.
        count = counts[:, used]
        mean_rank = torch.from_numpy(np.cumsum(count, 1) - (count - 1) / 2)
        chances = torch.zeros(counts.shape, dtype=torch.int32)
        chances[:, used] = _in_bits(keep_chance(mean_rank, self.numel, self.spec.probability, self.spec.spread))
        return chances


def sparse_form(spec: Sparsification, inputs: Sequence[Form], key: str, shape: Sequence[int], scratch: Scratch) -> Form:
    """Return the one-term sum of a TIES-family merge of `inputs`, with its first passes done."""
    operand = SparseDeltas(spec, inputs, key, math.prod(shape))
    operand.prepare(scratch)
    return Form({operand: 1.0})


def _in_bits(chance: torch.Tensor) -> torch.Tensor:
    return (chance * FULL).round().to(torch.int32)
