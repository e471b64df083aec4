"""How far an output is from each input, sampled while it is written."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from .dtypes import FLOATS
from .layout import OutputTensor
from .operands import Scratch
from .output_file import OutputFile
from .schedule import Part
from .sources import Source

SAMPLE = 4096  # Elements looked at in each chunk: one in 512 of half precision.
COMPARE = 1 << 20  # Bytes compared at once.
WITNESSES = 8  # Inputs that every chunk is compared with; more take turns.


@dataclass(frozen=True)
class MergeReport:
    """What was made. `distances` maps an input's name to |output - input| / |input| over the sampled elements."""

    path: str
    sha256: str
    recipe: str
    seconds: float
    bytes: int
    resumed_parts: int
    distances: Mapping[str, float]


class Distances:
    """Sums of squares over the sample, gathered from many threads."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = list(sources.values())
        self._sums = [[0.0, 0.0] for _ in self._sources]
        self._lock = threading.Lock()

    def sample(self, part: Part, start: int, out: torch.Tensor, turn: int, scratch: Scratch) -> None:
        """Compare the first elements of a chunk with the same elements of the inputs."""
        if part.run.dtype not in FLOATS:
            return
        tensor, inside = part.run.tensor_at(start)
        count = min(SAMPLE, out.numel(), tensor.numel - inside)
        mine = out[:count].double()
        with scratch.borrow(count) as values:
            for index in self._turn(turn):
                theirs = self._sources[index].tensor(tensor.key)
                entry = self._sources[index].entry(tensor.key)
                if tensor.verbatim or theirs is None or entry is None or entry.numel != tensor.numel:
                    continue
                theirs.read_into(inside, values, scratch)
                other = values.double()
                gap, size = float((mine - other).square().sum()), float(other.square().sum())
                with self._lock:
                    self._sums[index][0] += gap
                    self._sums[index][1] += size

    def _turn(self, turn: int) -> Iterator[int]:
        count = len(self._sources)
        groups = math.ceil(count / WITNESSES)
        return iter(range(turn % groups, count, groups)) if groups else iter(())

    def relative(self) -> dict[str, float]:
        """Return |output - input| / |input| by name; an input that shares nothing with the output is left out."""
        found = {}
        for source, (gap, size) in zip(self._sources, self._sums, strict=True):
            if size:
                found[source.name] = math.sqrt(gap / size)
        return found


def same_floats(tensor: OutputTensor, source: Source, output: OutputFile, base: int) -> bool:
    """Say whether an output tensor has the very bytes of the source's tensor with its key."""
    entry = source.entry(tensor.key)
    if entry is None or entry.stop - entry.start != tensor.stop - tensor.start:
        return False
    mine, theirs = memoryview(bytearray(COMPARE)), memoryview(bytearray(COMPARE))
    for at in range(0, tensor.stop - tensor.start, COMPARE):
        count = min(COMPARE, tensor.stop - tensor.start - at)
        output.read_into(base + tensor.start + at, mine[:count])
        source.reader.read_into(entry.start + at, theirs[:count])
        if mine[:count] != theirs[:count]:
            return False
    return True
