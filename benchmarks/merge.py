"""Merging against a bare copy loop, the built-in merger's algorithm and sd-mecha, on the same files.

    python benchmarks/merge.py --folder /big/disk --layout sd1 --runs 3
    python benchmarks/merge.py --folder /big/disk --layout clip --task robust

Every measurement is a process of its own (with --inline all are in one, without peak memory, for a machine so busy
that starting a process is slow); the interpreter's and the libraries' start-up is not counted. Contenders
take turns, so that a busy machine slows all of them; the ratio is the median of the ratios of one turn.
sd-mecha comes from PyPI (`pip install sd-webui-sticky[bench]`) and is left out when it is not installed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from lib_sticky.merge import Folders, Options, Recipe, compose, merge  # noqa: E402
from lib_sticky.merge.architectures import load  # noqa: E402
from lib_sticky.merge.output_file import encode_header  # noqa: E402

CHUNK = 1 << 20
PARTS = {
    "clip": ("sd1", "cond_stage_model."),
    "sdxl-block": ("sdxl", "model.diffusion_model.input_blocks.4.1.transformer_blocks.0."),
}
"""Layouts that are the keys of one part: SD1's text encoder, and the first transformer block of SDXL's UNet."""
THREADS = min(len(os.sched_getaffinity(0)), 16)


def shapes_of(layout: str) -> dict[str, tuple[int, ...]]:
    """Return keys and shapes; `sdxl/16` is SDXL with every side divided by 16, or one of PARTS."""
    if layout in PARTS:
        name, start = PARTS[layout]
        return {key: shape for key, shape in load(name).keys.items() if key.startswith(start)}
    name, _, text = layout.partition("/")
    scale = int(text or 1)
    return {
        key: tuple(-(-size // scale) if size > scale else size for size in shape)
        for key, shape in load(name).keys.items()
    }


def make_models(folder: Path, layout: str, count: int) -> list[str]:
    """Write fp16 checkpoints of random numbers around a common start; existing files are used again."""
    rows: dict[str, tuple[str, tuple[int, ...], int, int]] = {}
    at = 0
    for key, shape in sorted(shapes_of(layout).items()):
        size = 2 * math.prod(shape)
        rows[key] = ("F16", shape, at, at + size)
        at += size
    header = encode_header(rows, {"format": "pt"})
    paths = [folder / f"{layout.replace('/', '-')}-{index}.safetensors" for index in range(count)]
    for index, path in enumerate(paths):
        if path.exists() and path.stat().st_size == len(header) + at:
            continue
        start = np.random.default_rng(0).standard_normal(1 << 22) * 0.02
        change = np.random.default_rng(index + 1).standard_normal(1 << 22) * 0.001
        block = (start + change).astype(np.float16)
        with path.open("wb") as stream:
            stream.write(header)
            for offset in range(0, at, 2 * len(block)):
                turned = np.roll(block, 97 * (offset // len(block)))
                stream.write(turned.view(np.uint8)[: at - offset].tobytes())
    return [str(path) for path in paths]


def copy_loop(paths: list[str], target: str) -> None:
    """Read every input and write the first, in chunks, on threads, into a preallocated file: the least there is."""
    inputs = [os.open(path, os.O_RDONLY) for path in paths]
    size = os.fstat(inputs[0]).st_size
    out = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.posix_fallocate(out, 0, size)
    offsets, lock = iter(range(0, size, CHUNK)), threading.Lock()

    def work() -> None:
        buffers = [memoryview(bytearray(CHUNK)) for _ in inputs]
        while True:
            with lock:
                at = next(offsets, None)
            if at is None:
                return
            counts = [os.preadv(handle, [buffer], at) for handle, buffer in zip(inputs, buffers, strict=True)]
            os.pwrite(out, buffers[0][: counts[0]], at)

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    os.fsync(out)


def built_in(paths: list[str], target: str) -> None:
    """The algorithm of modules/extras.py: whole dicts, keys with "model" in their name, arithmetic in fp16."""
    from safetensors.torch import load_file, save_file

    second, first = load_file(paths[1]), load_file(paths[0])
    for key in first:
        if "model" in key and key in second:
            first[key] = (1 - 0.5) * first[key] + 0.5 * second[key]
    del second
    save_file(first, target, metadata={"format": "pt", "sd_merge_recipe": "{}"})


def ours(recipe: Recipe, target: str, *, hashed: bool = False) -> None:
    merge(recipe, Path(target), Folders(), Options(workers=THREADS, overwrite=True, hash_output=hashed))


def mecha(make: Callable[..., object], target: str) -> None:
    import sd_mecha

    sd_mecha.set_log_level("ERROR")
    sd_mecha.merge(
        make(sd_mecha), output=target, merge_device="cpu", output_dtype=torch.float16, threads=THREADS,
        strict_mandatory_keys=False, check_extra_keys=False, tqdm=lambda *_, **__: Silent(),
    )  # fmt: skip


class Silent:
    """A progress bar that shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None: ...
    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_, **__: None


def contenders(task: str, paths: list[str]) -> dict[str, Callable[[str], None]]:
    base, models = paths[0], paths[1:]
    if task == "half":
        recipe = compose("weighted_sum", paths[:2], {})
        return {
            "ours": lambda out: ours(recipe, out),
            "ours, output hashed": lambda out: ours(recipe, out, hashed=True),
            "copy loop": lambda out: copy_loop(paths[:2], out),
            "built-in": lambda out: built_in(paths, out),
            "sd-mecha": lambda out: mecha(lambda m: m.weighted_sum(*map(m.model, paths[:2]), alpha=0.5), out),
        }
    if task == "average":
        return {
            "ours": lambda out: ours(compose("average", paths, {}), out),
            "copy loop": lambda out: copy_loop(paths, out),
            "sd-mecha": lambda out: mecha(lambda m: m.n_average(*map(m.model, paths)), out),
        }
    drop = {"probability": 0.5, "epsilon": 0.2, "seed": 1}

    def on_changes(m, method, **params):
        start = m.model(base)
        merged = method(*(m.subtract(m.model(path), start) for path in models), **params)
        # The public add_difference of 1.1.8 does not take a change.
        return m.extensions.builtin.merge_methods.linear.add_difference(start, merged, alpha=1.0)

    peers = {
        "geometric_median": (
            compose("geometric_median", models, {}),
            lambda m: m.geometric_median(*map(m.model, models)),
        ),
        "ties": (
            compose("ties", models, {"density": 0.2}, base=base),
            lambda m: on_changes(m, m.ties_sum, k=0.2, vote_sgn=True),
        ),
        "della": (
            compose("della", models, drop, base=base),
            lambda m: on_changes(m, m.ties_sum_with_dropout, probability=0.5, della_eps=0.2, k=1.0, vote_sgn=True,
                                 apply_stock=True, seed=1),
        ),
        "dgmla": (compose("dgmla", models, {}, base=base), None),
    }  # fmt: skip
    recipe, peer = peers[task]
    found: dict[str, Callable[[str], None]] = {"ours": lambda out: ours(recipe, out)}
    if peer is not None:
        found["sd-mecha"] = lambda out: mecha(peer, out)
    return found


def child(chosen: argparse.Namespace) -> None:
    """Run one contender and print its seconds, those until its bytes are on the disk, of processor, and peak MB."""
    paths = make_models(chosen.folder, chosen.layout, chosen.count)
    if chosen.only == "sd-mecha":
        import sd_mecha  # noqa: F401
    times = timed(chosen, chosen.only, paths)
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e3  # type: ignore[index]
    print("RESULT", json.dumps([*times, peak]))


def timed(chosen: argparse.Namespace, name: str, paths: list[str]) -> tuple[float, float, float]:
    """Run one contender and return its seconds, the seconds until its output is on the disk, and of processor.

    Peers return while their bytes are still in the page cache; a merge is safe only once they are not.
    """
    run = contenders(chosen.task, paths)[name]
    for path in paths if chosen.cold else ():
        drop_from_cache(path)
    out = chosen.folder / f"{name.replace(' ', '-').replace(',', '')}-out.safetensors"
    out.unlink(missing_ok=True)
    began, spent = time.perf_counter(), time.process_time()
    run(str(out))
    seconds, spent = time.perf_counter() - began, time.process_time() - spent
    handle = os.open(out, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    return seconds, time.perf_counter() - began, spent


def drop_from_cache(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)


def measure(chosen: argparse.Namespace, name: str) -> list[float] | None:
    """Return seconds, seconds until synced, processor seconds and peak MB of one contender; None when it failed."""
    if chosen.inline:
        return [*timed(chosen, name, make_models(chosen.folder, chosen.layout, chosen.count)), math.nan]
    words = [sys.executable, __file__, "--only", name, *sys.argv[1:]]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"RESULT (.*)", done.stdout)
    if found is None:
        print(f"{name}: {done.stderr.strip().splitlines()[-1] if done.stderr else 'no result'}")
        return None
    for path in chosen.folder.glob("*-out.safetensors"):
        path.unlink()
    return json.loads(found[1])


def main() -> None:
    """Measure every contender in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the files go; they stay for the next run")
    parser.add_argument("--layout", default="sd1", help="sd1, sdxl, clip, sdxl-block, or sdxl/16: sides divided")
    tasks = ("half", "average", "geometric_median", "ties", "della", "dgmla")
    parser.add_argument("--task", default="half", choices=tasks)
    parser.add_argument("--count", type=int, default=2, help="how many files; the robust tasks use the first as base")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="drop the inputs from the page cache before each run")
    parser.add_argument("--names", nargs="*", help="only these contenders")
    parser.add_argument("--inline", action="store_true", help="all in one process")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.only:
        child(chosen)
        return
    paths = make_models(chosen.folder, chosen.layout, chosen.count)
    names = chosen.names or list(contenders(chosen.task, paths))
    turns: dict[str, list[list[float]]] = {name: [] for name in names}
    for turn, name in itertools.product(range(chosen.runs + 1), names):
        found = measure(chosen, name)
        if found and turn:  # The first turn only warms up.
            turns[name].append(found)
    print(f"{chosen.layout} {chosen.task} x{chosen.count} {'cold' if chosen.cold else 'warm'}, {THREADS} threads,"
          f" load {os.getloadavg()[0]:.1f}")  # fmt: skip
    if rows := turns.get("copy loop"):
        moved = sum(Path(path).stat().st_size for path in paths) + Path(paths[0]).stat().st_size
        print(f"physical limit: {moved / 1e9:.2f} GB read and written by the copy loop at "
              f"{moved / 1e9 / statistics.median(row[0] for row in rows):.2f} GB/s")  # fmt: skip
    for name, rows in turns.items():
        if not rows:
            continue
        seconds, ratios = spread(rows, turns["ours"], 0)
        synced, synced_ratios = spread(rows, turns["ours"], 1)
        print(
            f"{name:20} {seconds}  {ratios:6.2f} x ours; on the disk {synced}  {synced_ratios:6.2f} x ours; "
            f"cpu {statistics.median(row[2] for row in rows):6.2f} s peak {max(row[3] for row in rows):6.0f} MB"
        )


def spread(rows: list[list[float]], mine: list[list[float]], column: int) -> tuple[str, float]:
    """Median and range of one column in words, and the median of its ratios to ours in the same turn."""
    seconds = [row[column] for row in rows]
    ratios = [row[column] / other[column] for row, other in zip(rows, mine, strict=False)]
    text = f"{statistics.median(seconds):7.2f} s ({min(seconds):.2f}-{max(seconds):.2f})"
    return text, statistics.median(ratios)


if __name__ == "__main__":
    main()
