"""Magnitudes of one tensor in several models: how many there are of each size, and the one of a known rank, exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .operands import Scratch
from .streams import PIECE_BYTES, piece_length, pieces

# Magnitudes are sorted into bins by the upper bits of their float32 pattern (exponent and 8 bits of mantissa).
LOW_BITS = 15
BINS = 1 << 16
BLOCKS, BLOCK = 8, 1 << 13  # Of neighbouring elements, from which the threshold of a tensor is guessed.
SLACK = 0.01  # Share of the elements on either side of a guess that are kept at least; rows of a weight differ in size.
ROOM = PIECE_BYTES // 4  # Of those, in all.

Wanted = tuple[int, int, int]  # Model, side (0 low, 1 high), and the rank of the magnitude that is looked for.


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """`numel` elements of each of `models`; `fill(start, rows)` reads float32 rows (models x count) from `start` on."""

    models: int
    numel: int
    fill: Callable[[int, torch.Tensor], None]
    scratch: Scratch

    def histogram(self) -> np.ndarray:
        """Count each model's magnitudes by bin (models x BINS)."""
        counts = np.zeros((self.models, BINS), np.int64)
        length = piece_length(self.models)
        with self.scratch.borrow(length, torch.int32) as room:
            for rows in self._read(pieces(self.numel, self.models)):
                for row, count in zip(torch.from_numpy(rows), counts, strict=True):
                    found = torch.bincount(bins(row, room[: row.numel()])).numpy()
                    count[: found.size] += found
        return counts

    def bounds(self, shares: tuple[float, float]) -> torch.Tensor:
        """Return the least and the largest magnitude that each model keeps (models x 2), exactly; 0 if unasked.

        `shares` of the smallest and of the largest are not kept; 0 asks nothing.
        """
        ranks = (max(int(shares[0] * self.numel), 1), max(self.numel - int(shares[1] * self.numel), 1))
        wanted = [
            (model, side, rank)
            for side, (share, rank) in enumerate(zip(shares, ranks, strict=True))
            for model in range(self.models)
            if share
        ]
        found = self._selected(wanted) or self._counted(wanted)
        bounds = torch.zeros(self.models, 2)
        for (model, side, _), value in zip(wanted, found, strict=True):
            bounds[model, side] = value
        return bounds

    def _selected(self, wanted: Sequence[Wanted]) -> list[float] | None:
        """Return the wanted magnitudes from one pass that keeps those near where a sample puts them.

        None when a guess was wrong, or when more lies near it than a worker may hold.
        """
        windows = self._windows(wanted)
        below = [0] * len(wanted)
        near: list[list[np.ndarray]] = [[] for _ in wanted]
        room = ROOM
        for rows in self._read(pieces(self.numel, self.models)):
            for number, ((model, _, _), (low, high)) in enumerate(zip(wanted, windows, strict=True)):
                row = rows[model]
                under = row < low
                below[number] += int(np.count_nonzero(under))
                kept = row[under ^ (row <= high)]  # What is under is also at most `high`: no third comparison.
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

    def _windows(self, wanted: Sequence[Wanted]) -> list[tuple[float, float]]:
        """Guess between which magnitudes each wanted one lies, from blocks spread over the tensor."""
        if self.numel <= piece_length(self.models):
            return [(0.0, math.inf)] * len(wanted)
        step = self.numel // BLOCKS
        blocks = [(number * step, BLOCK) for number in range(BLOCKS)]
        sample = np.sort(np.concatenate([rows.copy() for rows in self._read(blocks)], 1), 1)
        last = sample.shape[1] - 1
        windows: list[tuple[float, float]] = []
        for model, _, rank in wanted:
            share = rank / self.numel
            slack = max(4 * math.sqrt(share * (1 - share) * (last + 1)), SLACK * last)
            low, high = math.floor(share * last - slack), math.ceil(share * last + slack)
            row = sample[model]
            windows.append((float(row[low]) if low >= 0 else 0.0, float(row[high]) if high <= last else math.inf))
        return windows

    def _read(self, blocks: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
        """Yield the models' magnitudes (models x count) for one (start, count) after the other."""
        for start, count in blocks:
            with self.scratch.borrow(self.models * count) as flat:
                rows = flat.view(-1, count)
                self.fill(start, rows)
                yield rows.abs_().numpy()

    def _counted(self, wanted: Sequence[Wanted]) -> list[float]:
        """Return the wanted magnitudes, whatever they are.

        A magnitude of known rank is in a known bin after one pass; a second pass sorts the lower bits within that bin.
        """
        coarse = np.cumsum(self.histogram(), 1)
        chosen_bins = [int(np.searchsorted(coarse[model], rank)) for model, _, rank in wanted]
        fine = np.zeros((len(wanted), 1 << LOW_BITS), np.int64)
        for rows in self._read(pieces(self.numel, self.models)):
            patterns = rows.view(np.int32)
            for number, (model, _, _) in enumerate(wanted):
                pattern = patterns[model]
                inside = pattern[(pattern >> LOW_BITS) == chosen_bins[number]]
                fine[number] += np.bincount(inside & ((1 << LOW_BITS) - 1), minlength=1 << LOW_BITS)
        found: list[float] = []
        for (model, _, rank), chosen, counts in zip(wanted, chosen_bins, fine, strict=True):
            below = coarse[model, chosen - 1] if chosen else 0
            low = int(np.searchsorted(np.cumsum(counts), rank - below))
            found.append(float(np.int32((chosen << LOW_BITS) | low).view(np.float32)))
        return found


def bins(row: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Fill `out` (int32) with the bin of each element's magnitude: float32 bit patterns sort as magnitudes do."""
    found = out.numpy()
    np.bitwise_and(row.numpy().view(np.int32), 0x7FFFFFFF, out=found)
    np.right_shift(found, LOW_BITS, out=found)
    return out
