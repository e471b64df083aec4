"""Cutting the output into parts that workers do in any order: runs of neighbouring tensors, and single tensors."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .dtypes import ITEM_SIZE
from .layout import OutputTensor
from .operands import FileTensor, Form

CHUNK_BYTES = 1 << 22  # Of output; smaller ones make workers wait for the interpreter's lock.


@dataclass(frozen=True)
class Run:
    """Neighbouring tensors of one format with one sum; `form` is None when the sum is found only while working."""

    tensors: tuple[OutputTensor, ...]
    form: Form | None

    @property
    def dtype(self) -> str:
        return self.tensors[0].dtype

    @property
    def numel(self) -> int:
        return (self.tensors[-1].stop - self.tensors[0].start) // ITEM_SIZE[self.dtype]

    def tensor_at(self, element: int) -> tuple[OutputTensor, int]:
        """Return the tensor that holds an element of the run, and the element's place in that tensor."""
        item = ITEM_SIZE[self.dtype]
        byte = self.tensors[0].start + element * item
        found = self.tensors[bisect_right(self.tensors, byte, key=lambda tensor: tensor.start) - 1]
        return found, (byte - found.start) // item


@dataclass(frozen=True)
class Part:
    """The elements [start, start + count) of a run: the unit of work, of the journal and of progress."""

    run: Run
    start: int
    count: int

    @property
    def offset(self) -> int:
        """First byte of the part, from the start of the data."""
        return self.run.tensors[0].start + self.start * ITEM_SIZE[self.run.dtype]

    @property
    def size(self) -> int:
        return self.count * ITEM_SIZE[self.run.dtype]

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Cut the part into (first element of the run, count) of at most CHUNK_BYTES."""
        return ((self.start + at, count) for at, count in on_grid(self.offset, self.count, ITEM_SIZE[self.run.dtype]))


def on_grid(offset: int, count: int, item: int) -> Iterator[tuple[int, int]]:
    """Cut `count` items that begin at byte `offset` into (first item, count) whose ends are multiples of CHUNK_BYTES.

    So all but the first chunk begin at a whole page of the disk.
    """
    at = 0
    while at < count:
        room = (CHUNK_BYTES - (offset + at * item) % CHUNK_BYTES) // item
        yield at, min(room, count - at)
        at += room


def make_parts(tensors: tuple[OutputTensor, ...], form_of: Callable[[OutputTensor], Form | None]) -> tuple[Part, ...]:
    """Return the parts of an output in the order of the file; `form_of` gives None for what must be worked out late."""
    parts: list[Part] = []
    for run in _runs(tensors, form_of):
        whole = Part(run, 0, run.numel)
        parts += [whole] if run.form is None else [Part(run, at, count) for at, count in whole.chunks()]
    return tuple(parts)


def _runs(tensors: tuple[OutputTensor, ...], form_of: Callable[[OutputTensor], Form | None]) -> Iterator[Run]:
    open_run: list[OutputTensor] = []
    form: Form | None = None
    last: Form | None = None
    for tensor in tensors:
        if not tensor.numel:
            continue
        found = form_of(tensor)
        if open_run and last is not None and found is not None and _continues(last, open_run[-1], found, tensor):
            open_run.append(tensor)
        else:
            if open_run:
                yield Run(tuple(open_run), form)
            open_run, form = [tensor], found
        last = found
    if open_run:
        yield Run(tuple(open_run), form)


def _continues(before: Form, left: OutputTensor, after: Form, right: OutputTensor) -> bool:
    """Say whether `right` goes on where `left` ends, in the output and in every file that both sums read."""
    if left.dtype != right.dtype or left.stop != right.start or len(before.terms) != len(after.terms):
        return False
    for (first, factor), (second, other) in zip(before.terms.items(), after.terms.items(), strict=True):
        if factor != other or not isinstance(first, FileTensor) or not isinstance(second, FileTensor):
            return False
        end = first.offset + left.numel * ITEM_SIZE[first.dtype]
        if first.reader is not second.reader or first.dtype != second.dtype or end != second.offset:
            return False
    return True
