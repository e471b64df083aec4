"""Threads that turn parts into bytes of the output, and the account of what is finished."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import torch

from .compile import Compiler
from .dtypes import TORCH_DTYPE, all_finite
from .errors import MergeCancelled, MergeError
from .journal import Journal
from .kernels import evaluate
from .operands import Form, Scratch
from .output_file import OutputFile, PrefixHasher
from .report import Distances
from .schedule import CHUNK_BYTES, Part

Progress = Callable[[int, int, float], None]
TICK = 0.1  # Seconds between looks at progress and the wish to cancel.


class Crew:
    """Runs parts on threads; `base` is where the data starts in the file, `done` the parts of an earlier run."""

    def __init__(
        self,
        parts: Sequence[Part],
        compiler: Compiler,
        output: OutputFile,
        base: int,
        *,
        journal: Journal,
        hasher: PrefixHasher | None,
        distances: Distances,
        done: frozenset[int],
    ) -> None:
        self._parts, self._compiler, self._output, self._base = parts, compiler, output, base
        self._journal, self._hasher, self._distances = journal, hasher, distances
        self._done = [index in done for index in range(len(parts))]
        self._bytes = sum(part.size for part, done in zip(parts, self._done, strict=True) if done)
        self._lock = threading.Lock()
        self._waiting = iter([index for index, done in enumerate(self._done) if not done])
        self._settled = 0
        self._error: BaseException | None = None
        self._stop = threading.Event()

    def run(self, workers: int, device: str, progress: Progress | None, cancelled: Callable[[], bool]) -> None:
        """Finish every part; raises the first error of any worker, or MergeCancelled."""
        total = sum(part.size for part in self._parts)
        began, before = time.monotonic(), self._bytes
        self._settle()
        threads = [threading.Thread(target=self._work, args=(device,), name=f"merge-{n}") for n in range(workers)]
        for thread in threads:
            thread.start()
        try:
            at_work = True
            while at_work:
                at_work = any(thread.is_alive() for thread in threads)
                if at_work:
                    threads[0].join(TICK) if threads[0].is_alive() else time.sleep(TICK)
                # Asked and told once more after the last part, so that no merge is too short for either.
                if cancelled():
                    self._fail(MergeCancelled("cancelled; nothing was left behind"))
                if progress:
                    gained = self._bytes - before
                    left = (time.monotonic() - began) * (total - self._bytes) / gained if gained else float("inf")
                    progress(self._bytes, total, left)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
        if self._error is not None:
            raise self._error

    def _work(self, device: str) -> None:
        torch.set_num_threads(1)
        scratch = Scratch(device, self._check)
        while not self._stop.is_set():
            with self._lock:
                index = next(self._waiting, None)
            if index is None:
                return
            try:
                self._make(index, scratch)
            except MergeCancelled:
                return
            except BaseException as error:
                self._fail(error)
                return

    def _check(self) -> None:
        if self._stop.is_set():
            raise MergeCancelled("stopped")

    def _make(self, index: int, scratch: Scratch) -> None:
        part = self._parts[index]
        tensor = part.run.tensors[0]
        form = part.run.form if part.run.form is not None else self._compiler.output_form(tensor, scratch)
        with scratch.borrow(CHUNK_BYTES // TORCH_DTYPE[part.run.dtype].itemsize, TORCH_DTYPE[part.run.dtype]) as buffer:
            for turn, (start, count) in enumerate(part.chunks()):
                out = buffer[:count]
                evaluate(form, start, out, part.run.dtype, scratch)
                if not all_finite(out):
                    raise MergeError(_not_finite(part, form, start, out, scratch))
                self._distances.sample(part, start, out, index + turn, scratch)
                offset = self._base + part.offset + (start - part.start) * out.element_size()
                self._output.write(offset, memoryview(out.view(torch.uint8).numpy()))  # type: ignore[arg-type]
                with self._lock:
                    self._bytes += count * out.element_size()
        self._journal.finished(index)
        with self._lock:
            self._done[index] = True
        self._settle()

    def _settle(self) -> None:
        """Let the hasher go as far as the output is whole from its beginning."""
        with self._lock:
            while self._settled < len(self._done) and self._done[self._settled]:
                self._settled += 1
            last = self._parts[self._settled - 1] if self._settled else None
        if self._hasher:
            self._hasher.allow(self._base + (last.offset + last.size if last else 0))

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
        self._stop.set()


def _not_finite(part: Part, form: Form, start: int, out: torch.Tensor, scratch: Scratch) -> str:
    """Name the tensor, and the inputs that already hold what is not a number, or say that the sum overflowed."""
    at = start + int((~torch.isfinite(out.float())).nonzero()[0])
    name = part.run.tensor_at(at)[0].actual
    guilty = []
    with scratch.borrow(1) as value:
        for operand in form.terms:
            operand.read_into(at, value, scratch)
            if not torch.isfinite(value[0]):
                guilty.append(str(operand))
    overflow = f"the sum does not fit {part.run.dtype}; choose fp32 or bf16"
    cause = f"it comes from {', '.join(guilty)}" if guilty else overflow
    return f"{name} would hold values that are not finite numbers: {cause}"
