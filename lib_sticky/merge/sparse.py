"""The TIES family in streaming passes: memory O(piece x N), whatever the size of the tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .masks import FULL, uniform_bits
from .methods.della import keep_chance
from .methods.geometric_median import weiszfeld
from .methods.sparsification import Sparsification
from .methods.ties import elected_signs
from .operands import Form, Scratch, read_forms
from .streams import PIECE_BYTES, piece_length, pieces

# Magnitudes are sorted into bins by the upper bits of their float32 pattern (exponent and 8 bits of mantissa).
RANKED = 1 << 16  # Elements up to which ranks are found by sorting.
LOW_BITS = 15
BINS = 1 << 16
BLOCKS, BLOCK = 32, 1 << 11  # Of neighbouring elements, from which the threshold of a tensor is guessed.
SLACK = 0.01  # Share of the elements on either side of a guess that are kept at least; rows of a weight differ in size.
ROOM = PIECE_BYTES // 4  # Of those, in all.
CACHED = 1 << 18  # Elements that are voted on at once: with their signs 2 MB, a core's second-level cache.

Wanted = tuple[int, int, int]  # Model, side (0 low, 1 high), and the rank of the magnitude that is looked for.


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
            self.bounds = self._bounds(scratch)
        if spec.combine == "median":
            gram = torch.zeros(len(self.inputs), len(self.inputs), dtype=torch.float64)
            for start, length in pieces(self.numel, len(self.inputs)):
                with scratch.borrow(len(self.inputs) * length) as flat:
                    rows = self._voted(start, flat.view(-1, length), scratch).to(scratch.device)
                    gram += (rows @ rows.T).double().cpu()
            self.weights = weiszfeld(gram, eps=spec.eps, ftol=spec.ftol, maxiter=spec.maxiter)

    def read_into(self, start: int, out: torch.Tensor, scratch: Scratch) -> None:
        with scratch.borrow(len(self.inputs) * out.numel()) as flat:
            rows = self._voted(start, flat.view(-1, out.numel()), scratch)
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

    def _voted(self, start: int, rows: torch.Tensor, scratch: Scratch) -> torch.Tensor:
        """Fill `rows` with the changes after drop, trim and vote."""
        self._dropped(start, rows, scratch)
        if self.bounds is not None:
            self._trim(rows, self.bounds, scratch)
        if self.spec.vote != "none":
            self._silence_losers(rows, scratch)
        return rows

    def _trim(self, rows: torch.Tensor, bounds: torch.Tensor, scratch: Scratch) -> None:
        """Zero what lies outside `bounds` (models x 2); comparisons fill float buffers, whose product is quick."""
        with scratch.borrow(rows.numel()) as flat:
            work = flat.view(rows.shape)
            if self.spec.low:
                rows.mul_(torch.ge(torch.abs(rows, out=work), bounds[:, :1], out=work))
            if self.spec.high:
                rows.mul_(torch.le(torch.abs(rows, out=work), bounds[:, 1:], out=work))

    def _silence_losers(self, rows: torch.Tensor, scratch: Scratch) -> None:
        """Zero the elements whose sign lost, a few columns at a time so that they stay in the core's own cache."""
        columns = max(64, CACHED // rows.shape[0])
        for block in rows.split(columns, dim=1):
            with scratch.borrow(block.numel()) as flat:
                signs = torch.sign(block, out=flat.view(block.shape))
                winner = elected_signs(block if self.spec.vote == "mass" else signs, "mass")  # A count sums signs.
                block.mul_(signs.eq_(winner))

    def _dropped(self, start: int, rows: torch.Tensor, scratch: Scratch) -> None:
        """Fill `rows` with the changes after the random drop."""
        read_forms(self.inputs, start, rows, scratch)
        if not self.spec.probability and not self.spec.spread:
            return
        for model, row in enumerate(rows):
            draw = uniform_bits(self.spec.seed, self.key, model, start, row.numel())
            values = row.numpy()
            np.multiply(values, draw < self._chance(model, start, row), out=values)

    def _chance(self, model: int, start: int, row: torch.Tensor) -> np.ndarray | int:
        """Return the chance of each element of `row`, which begins at `start`, to be kept, in 1/65536."""
        spec = self.spec
        if not spec.spread:
            return round((1.0 - spec.probability) * FULL)
        if self.chances is not None:
            return self.chances[model, start : start + row.numel()].numpy()
        if self.keep is None:
            raise RuntimeError("ranks are asked for before prepare() has found them")
        return self.keep[model].index_select(0, _bins(row)).numpy()

    def _chances_by_rank(self, scratch: Scratch) -> torch.Tensor:
        """Return each model's chance for each element, in 1/65536, by its rank in the whole tensor."""
        chances = torch.empty(len(self.inputs), self.numel, dtype=torch.int32)
        rank = torch.empty(self.numel, dtype=torch.float64)
        with scratch.borrow(chances.numel()) as flat:
            rows = flat.view(chances.shape)
            read_forms(self.inputs, 0, rows, scratch)
            for row, found in zip(rows, chances, strict=True):
                rank[torch.argsort(row.abs(), stable=True)] = torch.arange(1, self.numel + 1, dtype=rank.dtype)
                found.copy_(_in_bits(keep_chance(rank, self.numel, self.spec.probability, self.spec.spread)))
        return chances

    def _keep_by_bin(self, scratch: Scratch) -> torch.Tensor:
        """Return each model's chance for each magnitude bin, in 1/65536, from the mean rank of the bin."""
        counts = self._histogram(scratch, dropped=False)
        mean_rank = torch.from_numpy(np.cumsum(counts, 1) - (counts - 1) / 2)
        return _in_bits(keep_chance(mean_rank, self.numel, self.spec.probability, self.spec.spread))

    def _histogram(self, scratch: Scratch, *, dropped: bool) -> np.ndarray:
        """Count each model's magnitudes by bin."""
        counts = np.zeros((len(self.inputs), BINS), np.int64)
        for start, length in pieces(self.numel, len(self.inputs)):
            with scratch.borrow(len(self.inputs) * length) as flat:
                rows = flat.view(-1, length)
                self._dropped(start, rows, scratch) if dropped else read_forms(self.inputs, start, rows, scratch)
                for model, row in enumerate(rows):
                    counts[model] += torch.bincount(_bins(row), minlength=BINS).numpy()
        return counts

    def _bounds(self, scratch: Scratch) -> torch.Tensor:
        """Return the least and the largest magnitude that each model keeps (models x 2), exactly; 0 if unasked."""
        ranks = (max(int(self.spec.low * self.numel), 1), max(self.numel - int(self.spec.high * self.numel), 1))
        wanted = [
            (model, side, rank)
            for side, (share, rank) in enumerate(zip((self.spec.low, self.spec.high), ranks, strict=True))
            for model in range(len(self.inputs))
            if share
        ]
        found = self._selected(wanted, scratch)
        bounds = torch.zeros(len(self.inputs), 2)
        for (model, side, _), value in zip(
            wanted, self._counted(wanted, scratch) if found is None else found, strict=True
        ):
            bounds[model, side] = value
        return bounds

    def _selected(self, wanted: Sequence[Wanted], scratch: Scratch) -> list[float] | None:
        """Return the wanted magnitudes from one pass that keeps those near where a sample puts them.

        None when a guess was wrong, or when more lies near it than a worker may hold.
        """
        windows = self._windows(wanted, scratch)
        below = [0] * len(wanted)
        near: list[list[np.ndarray]] = [[] for _ in wanted]
        room = ROOM
        for rows in self._magnitudes(pieces(self.numel, len(self.inputs)), scratch):
            for number, ((model, _, _), (low, high)) in enumerate(zip(wanted, windows, strict=True)):
                row = rows[model]
                below[number] += int(np.count_nonzero(row < low))
                kept = row[(row >= low) & (row <= high)]
                near[number].append(kept)
                room -= kept.size
                if room < 0:
                    return None
        found: list[float] = []
        for (_, _, rank), under, kept in zip(wanted, below, near, strict=True):
            values = np.concatenate(kept)
            if not under < rank <= under + values.size:
                return None
            found.append(float(np.partition(values, rank - under - 1)[rank - under - 1]))
        return found

    def _windows(self, wanted: Sequence[Wanted], scratch: Scratch) -> list[tuple[float, float]]:
        """Guess between which magnitudes each wanted one lies, from blocks spread over the tensor."""
        if self.numel <= piece_length(len(self.inputs)):
            return [(0.0, math.inf)] * len(wanted)
        step = self.numel // BLOCKS
        blocks = [(number * step, BLOCK) for number in range(BLOCKS)]
        sample = np.sort(np.concatenate([rows.copy() for rows in self._magnitudes(blocks, scratch)], 1), 1)
        last = sample.shape[1] - 1
        windows: list[tuple[float, float]] = []
        for model, _, rank in wanted:
            share = rank / self.numel
            slack = max(4 * math.sqrt(share * (1 - share) * (last + 1)), SLACK * last)
            low, high = math.floor(share * last - slack), math.ceil(share * last + slack)
            row = sample[model]
            windows.append((float(row[low]) if low >= 0 else 0.0, float(row[high]) if high <= last else math.inf))
        return windows

    def _magnitudes(self, blocks: Iterable[tuple[int, int]], scratch: Scratch) -> Iterator[np.ndarray]:
        """Yield the models' magnitudes after the random drop, for one (start, count) after the other."""
        for start, count in blocks:
            with scratch.borrow(len(self.inputs) * count) as flat:
                rows = flat.view(-1, count)
                self._dropped(start, rows, scratch)
                yield rows.abs_().numpy()

    def _counted(self, wanted: Sequence[Wanted], scratch: Scratch) -> list[float]:
        """Return the wanted magnitudes, whatever they are.

        A magnitude of known rank is in a known bin after one pass; a second pass sorts the lower bits within that bin.
        """
        coarse = np.cumsum(self._histogram(scratch, dropped=True), 1)
        bins = [int(np.searchsorted(coarse[model], rank)) for model, _, rank in wanted]
        fine = np.zeros((len(wanted), 1 << LOW_BITS), np.int64)
        for rows in self._magnitudes(pieces(self.numel, len(self.inputs)), scratch):
            patterns = rows.view(np.int32)
            for number, (model, _, _) in enumerate(wanted):
                pattern = patterns[model]
                inside = pattern[(pattern >> LOW_BITS) == bins[number]]
                fine[number] += np.bincount(inside & ((1 << LOW_BITS) - 1), minlength=1 << LOW_BITS)
        found: list[float] = []
        for (model, _, rank), chosen, counts in zip(wanted, bins, fine, strict=True):
            below = coarse[model, chosen - 1] if chosen else 0
            low = int(np.searchsorted(np.cumsum(counts), rank - below))
            found.append(float(np.int32((chosen << LOW_BITS) | low).view(np.float32)))
        return found


def sparse_form(spec: Sparsification, inputs: Sequence[Form], key: str, shape: Sequence[int], scratch: Scratch) -> Form:
    """Return the one-term sum of a TIES-family merge of `inputs`, with its first passes done."""
    operand = SparseDeltas(spec, inputs, key, math.prod(shape))
    operand.prepare(scratch)
    return Form({operand: 1.0})


def _pattern(row: torch.Tensor) -> np.ndarray:
    """Return the float32 bit patterns of magnitudes, which sort as the magnitudes do."""
    return row.numpy().view(np.int32) & 0x7FFFFFFF


def _bins(row: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(_pattern(row) >> LOW_BITS)


def _in_bits(chance: torch.Tensor) -> torch.Tensor:
    return (chance * FULL).round().to(torch.int32)
