"""Training shared by processes: each takes its part of every batch, and the mean of their gradients is what all use."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing


@dataclass(frozen=True)
class Workers:
    """This process among `count` that train together; the first of them keeps the run's files."""

    number: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that saves and reports."""
        return self.number == 0

    def part(self, batch: Tensor) -> Tensor:
        """This process's share of a batch: every `count`-th row."""
        return batch[self.number :: self.count]

    def average(self, tensors: list[Tensor]) -> None:
        """Replace the tensors by their mean over all processes."""
        if self.count > 1:
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            distributed.all_reduce(flat)
            pieces = flat.div_(self.count).split([tensor.numel() for tensor in tensors])
            torch._foreach_copy_(tensors, [p.view_as(t) for p, t in zip(pieces, tensors, strict=True)])


ALONE = Workers()


def _member(number: int, count: int, meeting: str, task: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    distributed.init_process_group("gloo", init_method=meeting, rank=number, world_size=count)
    try:
        task(Workers(number, count), *arguments)
    finally:
        distributed.destroy_process_group()


def together(count: int, task: Callable[..., None], *arguments: Any) -> None:
    """Call `task(workers, *arguments)` in `count` processes at once; in this one when `count` is 1."""
    if count == 1:
        task(ALONE, *arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        multiprocessing.spawn(_member, (count, meeting, task, arguments), nprocs=count)
