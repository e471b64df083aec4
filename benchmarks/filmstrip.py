"""What the filmstrip and the metrics cost beside the job that they describe, in the studio.

    python -m benchmarks.filmstrip --pairs 20 --batch 4

The same job with and without them, in one process, the two sides taking turns to go first, after a warm-up. Both save
their pictures; model calls are counted on both sides and must be equal.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lib_sticky.config import Config
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.intervals import bootstrap
from lib_sticky.lab.metrics import measure
from lib_sticky.lab.planes import Planes
from lib_sticky.lab.png import save
from lib_sticky.lab.watching import summary
from lib_sticky.studio.job import Job
from lib_sticky.studio.making import Made, make, settled
from lib_sticky.studio.models import chosen, open_model
from lib_sticky.studio.strips import FAST, strip_of
from lib_sticky.studio.watching import Watch


def main() -> int:
    """Print one line for each way of telling the time."""
    options = _parser().parse_args()
    torch.set_num_threads(1)
    path = chosen(options.model)
    host = open_model(path)
    job = Job(
        prompt="two small red circles on a blue background", sampler="Euler", steps=options.steps, cfg=20.0, seed=1,
        batch=options.batch, config=Config(enabled=True),
    )  # fmt: skip
    job = settled(job, host)
    calls = _counted(host)
    pairs = [_pair(host, job, calls, index) for index in range(options.warm_up + options.pairs)][options.warm_up :]
    print(f"{path.stem}, {job.width}x{job.height}, {job.steps} steps, batch of {job.batch}, one thread")
    print(f"{options.pairs} pairs, model calls equal on both sides, load {os.getloadavg()[0]:.1f} at the end\n")
    print("| time | without, s | with, s | ratio, median | 95% interval of the median | extra, ms a picture |")
    print("| --- | --- | --- | --- | --- | --- |")
    for index, name in enumerate(("processor", "wall clock")):
        print(_row(name, [(plain[index], watched[index]) for plain, watched in pairs], job.batch))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=2, help="pairs that are not counted")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--model", default="", help="a model file or folder (default: the shipped one)")
    return parser


def _counted(host: Diffusers) -> list[int]:
    """Model calls as they are made, by their rows."""
    calls: list[int] = []
    host.pipe.unet.register_forward_pre_hook(lambda _module, given: calls.append(len(given[0])))
    return calls


Times = tuple[float, float]


def _pair(host: Diffusers, job: Job, calls: list[int], index: int) -> tuple[Times, Times]:
    """Processor and wall-clock seconds without and with; RuntimeError where the model was called more often."""
    times: dict[bool, Times] = {}
    made: dict[bool, list[int]] = {}
    for watched in (False, True) if index % 2 else (True, False):
        with tempfile.TemporaryDirectory() as folder:
            calls.clear()
            times[watched] = _timed(lambda: _job(host, job, Path(folder), watched=watched))  # noqa: B023
            made[watched] = list(calls)
    if made[False] != made[True]:
        raise RuntimeError(f"{len(made[True])} model calls with filmstrip and metrics, {len(made[False])} without")
    return times[False], times[True]


def _timed(run: Callable[[], Any]) -> Times:
    used, started = time.process_time(), time.perf_counter()
    run()
    return time.process_time() - used, time.perf_counter() - started


def _job(host: Diffusers, job: Job, folder: Path, *, watched: bool) -> None:
    watch = Watch(strip=True) if watched else None
    for event in make(host, job, "model"):
        if not isinstance(event, Made):
            if watch:
                watch.see(event)
            continue
        for picture, text in zip(event.pictures, event.infotexts, strict=True):
            save(picture, folder, "picture", text)
        if watch:
            for picture, steps in zip(event.pictures, watch.steps, strict=True):
                measure(Planes.of(picture))
                summary(steps)
            strip = strip_of(host, event, watch, FAST, "filmstrip")
            save(strip, folder, "filmstrip", event.infotexts[0], quick=True)


def _row(name: str, pairs: list[Times], batch: int) -> str:
    plain, watched = (statistics.median(side) for side in zip(*pairs, strict=True))
    found = bootstrap([with_it / without for without, with_it in pairs], np.median)
    extra = 1000 * statistics.median(with_it - without for without, with_it in pairs) / batch
    cells = (f"{plain:.3f}", f"{watched:.3f}", f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}")
    return f"| {name} | {' | '.join(cells)} | {extra:.1f} |"


if __name__ == "__main__":
    sys.exit(main())
