"""How long a robust merge of hundreds of SDXL models takes, projected from the same merge of scaled-down ones.

    python -m benchmarks.merge_projection --folder /big/disk --count 216

Two merges are run: of SDXL's whole key table with every side divided by 32, which is nearly all work for each tensor
of each model, and of one of its transformer blocks in full size, which is nearly all work for each number of each
model. Reading is projected from the speed at which the block's files come from the disk (the page cache is dropped
first), times the number of passes.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.merge import THREADS, drop_from_cache, make_models, shapes_of
from lib_sticky.merge import Folders, Options, compose, merge

PASSES = {"geometric_median": 2, "tgmd": 2, "dgmla": 3, "della": 2, "ties": 3}
"""How often every number is read; DGMLA and TIES need order statistics first."""
TABLE, BLOCK = "sdxl/32", "sdxl-block"
CHUNK = 1 << 20


@dataclass(frozen=True)
class Run:
    tensors: int
    numbers: int
    seconds: float
    processor: float


def run(folder: Path, layout: str, count: int, method: str) -> tuple[Run, list[str]]:
    paths = make_models(folder, layout, count + 1)
    shapes = shapes_of(layout).values()
    recipe = compose(method, paths[1:], {}, base=None if method == "geometric_median" else paths[0])
    began, spent = time.perf_counter(), time.process_time()
    merge(recipe, folder / "projection.safetensors", Folders(), Options(workers=THREADS, overwrite=True))
    took, busy = time.perf_counter() - began, time.process_time() - spent
    (folder / "projection.safetensors").unlink()
    return Run(len(shapes), sum(map(math.prod, shapes)), took, busy), paths


def tell(layout: str, found: Run, count: int) -> None:
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e3  # type: ignore[index]
    print(
        f"{layout}: {count} models of {found.numbers / 1e6:.1f} M numbers in {found.tensors} tensors: "
        f"{found.seconds:.0f} s, {found.processor:.0f} s of processor, peak memory {peak:.0f} MB",
        flush=True,
    )


def cold_speed(paths: list[str]) -> float:
    """Bytes a second from the disk, read as the engine reads: a megabyte at a time on every thread."""
    for path in paths:
        drop_from_cache(path)
    waiting, lock, total = iter(paths), threading.Lock(), [0]

    def work() -> None:
        buffer = memoryview(bytearray(CHUNK))
        while True:
            with lock:
                path = next(waiting, None)
            if path is None:
                return
            with open(path, "rb", buffering=0) as stream:
                while count := stream.readinto(buffer):
                    with lock:
                        total[0] += count

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return total[0] / (time.perf_counter() - began)


def main() -> None:
    """Run both merges and print what was measured, then the projection."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the files go; they stay for the next run")
    parser.add_argument("--count", type=int, default=216, help="how many models, the base aside")
    parser.add_argument("--method", default="dgmla", choices=sorted(PASSES))
    chosen = parser.parse_args()
    block, paths = run(chosen.folder, BLOCK, chosen.count, chosen.method)
    tell(BLOCK, block, chosen.count)
    speed = cold_speed(paths)
    print(f"disk {speed / 1e6:.0f} MB/s, load {os.getloadavg()[0]:.1f}", flush=True)
    table, _ = run(chosen.folder, TABLE, chosen.count, chosen.method)
    tell(TABLE, table, chosen.count)
    # Two equations: seconds = count x (numbers x by_number + tensors x by_tensor).
    by_number = (block.processor / block.tensors - table.processor / table.tensors) / chosen.count
    by_number /= block.numbers / block.tensors - table.numbers / table.tensors
    by_tensor = (table.processor / chosen.count - by_number * table.numbers) / table.tensors
    full = sum(map(math.prod, shapes_of("sdxl").values()))
    processor = chosen.count * (by_number * full + by_tensor * table.tensors)
    reading = PASSES[chosen.method] * (chosen.count + 1) * 2 * full / speed
    print(f"{by_number * 1e9:.1f} ns a number and {by_tensor * 1e6:.0f} us a tensor of each model")
    print(f"full SDXL: {reading / 3600:.1f} h of reading ({PASSES[chosen.method]} passes over "
          f"{(chosen.count + 1) * 2 * full / 1e12:.2f} TB), {processor / 3600:.1f} h of processor: on {THREADS} cores "
          f"{processor / THREADS / 3600:.1f} h")  # fmt: skip
    bound = "reading" if reading > processor / THREADS else "arithmetic"
    print(f"bound by {bound} here, and by reading from {math.ceil(processor / reading)} cores on this disk")


if __name__ == "__main__":
    main()
