"""LoRAs on some rows of a model's batch: hooks on its layers, which add a branch to the rows that are chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from torch import Tensor, nn

from .branch import Branch, adding


@dataclass(frozen=True)
class Rows:
    """Which rows of a batch of `size` are chosen, as runs of neighbours (first, one past the last)."""

    size: int
    runs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, mask: Sequence[bool]) -> Rows:
        """The rows where `mask` is true."""
        runs: list[tuple[int, int]] = []
        start = 0
        for chosen, group in groupby(mask):
            stop = start + len(list(group))
            if chosen:
                runs.append((start, stop))
            start = stop
        return cls(len(mask), tuple(runs))

    def within(self, size: int) -> tuple[tuple[int, int], ...]:
        """The chosen rows of a layer's input of `size` rows, a multiple of the batch where the model cuts pictures up.

        As (first, how many). Raises ValueError where it is no multiple, since then nobody can say whose rows these are.
        """
        if size % self.size:
            raise ValueError(f"a layer has {size} rows for a batch of {self.size}; the LoRA cannot tell them apart")
        each = size // self.size
        return tuple((start * each, (stop - start) * each) for start, stop in self.runs)


class RowBranches:
    """Branches that are hooked to their layers from `attach` to `remove`; they act on the rows chosen meanwhile.

    Outputs are changed in place where not all rows are chosen, so that this is for sampling; with all rows chosen
    gradients pass.
    """

    def __init__(self, branches: Mapping[nn.Module, Sequence[Branch]]) -> None:
        self._branches = {layer: tuple(added) for layer, added in branches.items()}
        self._rows: Rows | None = None
        self._found: dict[int, tuple[tuple[int, int], ...]] = {}
        self._handles: list[Any] = []

    def __bool__(self) -> bool:
        return bool(self._branches)

    def attach(self) -> RowBranches:
        """Hook the branches to their layers, unless they are; returns itself."""
        if not self._handles:
            items = self._branches.items()
            self._handles = [layer.register_forward_hook(self._hook(added)) for layer, added in items]
        return self

    @contextmanager
    def on(self, rows: Rows) -> Iterator[None]:
        """Act on `rows` of the model calls made inside."""
        before = self._rows
        self.choose(rows)
        try:
            yield
        finally:
            self.choose(before)

    def choose(self, rows: Rows | None) -> None:
        """Act on `rows` from now on, or on none: for hosts that make the model call themselves."""
        self._rows = rows if rows is not None and rows.runs else None
        self._found.clear()

    def remove(self) -> None:
        """Take the hooks off; the model is as if they had never been there."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, branches: tuple[Branch, ...]) -> Any:
        adds = tuple(adding(branch) for branch in branches)
        found = self._found

        def added(_layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
            rows = self._rows
            if rows is None:
                return None
            x: Tensor = inputs[0]
            size = x.shape[0]
            places = found.get(size)
            if places is None:
                places = found[size] = rows.within(size)
            if places[0][1] == size:
                for branch in branches:
                    output = output + branch(x).to(output.dtype)
                return output
            for first, many in places:
                for add in adds:
                    add(x, output, first, many)
            return None

        return added
