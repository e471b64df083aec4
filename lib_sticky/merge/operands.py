"""Tensors that are read a piece at a time: files, and methods that have no closed sum."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from .checkpoint_io import CheckpointReader
from .dtypes import ITEM_SIZE, TORCH_DTYPE

# Elements that are read and computed at once: fewer make workers wait for the interpreter's lock, more for memory.
PIECE = 1 << 18


class Scratch:
    """Buffers of one worker, made once and handed out again: a fresh large temporary costs more than the arithmetic.

    They begin at whole pages of memory, as writes past the page cache must. `check` is called for every buffer; it
    raises to make the worker stop.
    """

    def __init__(self, device: str = "cpu", check: Callable[[], None] = lambda: None) -> None:
        self.device = device
        self._check = check
        self._free: dict[torch.dtype, list[torch.Tensor]] = {}

    @contextlib.contextmanager
    def borrow(self, count: int, dtype: torch.dtype = torch.float32) -> Iterator[torch.Tensor]:
        """Lend a flat buffer of `count` elements with arbitrary contents."""
        self._check()
        pool = self._free.setdefault(dtype, [])
        buffer = pool.pop() if pool else torch.empty(0, dtype=dtype)
        if buffer.numel() < count:
            buffer = _whole_pages(count, dtype)
        try:
            yield buffer[:count]
        finally:
            pool.append(buffer)


def _whole_pages(count: int, dtype: torch.dtype) -> torch.Tensor:
    memory = mmap.mmap(-1, count * dtype.itemsize)
    return torch.frombuffer(memory, dtype=torch.uint8).view(dtype)


class Operand(Protocol):
    """A flat tensor that can be read in float32 from any element on."""

    def read_into(self, start: int, out: torch.Tensor, scratch: Scratch) -> None: ...


@dataclass(frozen=True, eq=False)
class FileTensor:
    """A tensor of a checkpoint, or a run of neighbours in it with one dtype."""

    reader: CheckpointReader
    dtype: str
    offset: int

    def __str__(self) -> str:
        return str(self.reader.path)

    def read_raw(self, start: int, out: torch.Tensor) -> None:
        """Fill `out`, a contiguous CPU tensor of this dtype, with the elements from `start` on."""
        view = memoryview(out.view(torch.uint8).numpy())  # type: ignore[arg-type]
        self.reader.read_into(self.offset + start * ITEM_SIZE[self.dtype], view)

    def read_into(self, start: int, out: torch.Tensor, scratch: Scratch) -> None:
        with scratch.borrow(out.numel(), TORCH_DTYPE[self.dtype]) as raw:
            self.read_raw(start, raw)
            out.copy_(raw)


@dataclass(frozen=True, eq=False)
class Form:
    """A sum of operands with float64 coefficients; linear methods compute with forms as if they were tensors."""

    terms: Mapping[Operand, float] = field(default_factory=dict)

    def __add__(self, other: Form) -> Form:
        terms = dict(self.terms)
        for operand, factor in other.terms.items():
            terms[operand] = terms.get(operand, 0.0) + factor
        return Form(terms)

    def __sub__(self, other: Form) -> Form:
        return self + -1.0 * other

    def __mul__(self, factor: float) -> Form:
        return Form({operand: factor * weight for operand, weight in self.terms.items()})

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Form:
        return self * (1.0 / divisor)

    def pruned(self) -> Form:
        """Drop the terms that count for nothing, so that their files are not read."""
        return Form({operand: factor for operand, factor in self.terms.items() if factor != 0.0})


def read_forms(forms: Sequence[Form], start: int, rows: torch.Tensor, scratch: Scratch) -> None:
    """Fill row i of `rows` (len(forms) x n, float32) with form i; an operand that several forms share is read once."""
    uses: dict[Operand, list[tuple[int, float]]] = {}
    for row, form in enumerate(forms):
        for operand, factor in form.terms.items():
            if factor:
                uses.setdefault(operand, []).append((row, factor))
    fresh = [True] * len(forms)
    with scratch.borrow(rows.shape[1]) as values:
        for operand, places in sorted(uses.items(), key=lambda use: len(use[1])):  # What stands alone needs no copy.
            row, factor = places[0]
            if len(places) == 1 and fresh[row]:
                operand.read_into(start, rows[row], scratch)
                if factor != 1.0:
                    rows[row].mul_(factor)
                fresh[row] = False
                continue
            operand.read_into(start, values, scratch)
            for row, factor in places:
                if fresh[row]:
                    torch.mul(values, factor, out=rows[row])
                    fresh[row] = False
                else:
                    rows[row].add_(values, alpha=factor)
    for row, untouched in enumerate(fresh):
        if untouched:
            rows[row].zero_()


@dataclass(frozen=True, eq=False)
class Elementwise:
    """A method that needs only the same elements of each input."""

    function: Callable[..., torch.Tensor]
    inputs: tuple[Form, ...]
    params: Mapping[str, Any]

    def read_into(self, start: int, out: torch.Tensor, scratch: Scratch) -> None:
        count = out.numel()
        with scratch.borrow(len(self.inputs) * count) as flat:
            rows = flat.view(len(self.inputs), count)
            read_forms(self.inputs, start, rows, scratch)
            out.copy_(self.function(*rows.unbind(0), **self.params))


@dataclass(frozen=True, eq=False)
class WidenedTensor:
    """A convolution's weight with the last input channels of a wider one behind its own."""

    own: FileTensor
    wider: FileTensor
    own_shape: tuple[int, ...]
    wider_shape: tuple[int, ...]

    def read_into(self, start: int, out: torch.Tensor, scratch: Scratch) -> None:
        whole = read_whole(Form({self.wider: 1.0}), self.wider_shape, scratch)
        whole[:, : self.own_shape[1]] = read_whole(Form({self.own: 1.0}), self.own_shape, scratch)
        out.copy_(whole.flatten()[start : start + out.numel()])


@dataclass(eq=False)
class WholeTensor:
    """A method that needs its tensors whole; the result is kept until the key is written."""

    function: Callable[..., torch.Tensor]
    inputs: tuple[Form, ...]
    params: Mapping[str, Any]
    shape: tuple[int, ...]
    value: torch.Tensor | None = None

    def read_into(self, start: int, out: torch.Tensor, scratch: Scratch) -> None:
        value = self.value
        if value is None:
            tensors = [read_whole(form, self.shape, scratch).to(scratch.device) for form in self.inputs]
            value = self.value = self.function(*tensors, **self.params).float().cpu().flatten()
        out.copy_(value[start : start + out.numel()])


def read_whole(form: Form, shape: Sequence[int], scratch: Scratch) -> torch.Tensor:
    """Return all of a form as a new float32 tensor of `shape`."""
    tensor = torch.empty(tuple(shape))
    flat = tensor.view(1, -1)
    for start in range(0, flat.shape[1], PIECE):
        read_forms((form,), start, flat[:, start : start + PIECE], scratch)
    return tensor
