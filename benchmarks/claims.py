"""Makes every figure of docs/CLAIMS.md, or as many as fit into the time that it is given.

    python -m benchmarks.claims --minutes 15 --docs
    python -m benchmarks.claims --model my.safetensors --prompts prompts.txt --studies arms,modes --blocks 63

Every cell of claims_plan.py makes the same prompts from the same noise, a block of them after the other, so that
stopping at any time leaves cells of equal size. What is made is logged; the same command goes on where it stopped and
writes the tables anew. One process, one thread.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from PIL import Image

from benchmarks.claims_figures import write_figures
from benchmarks.claims_models import Models
from benchmarks.claims_plan import BASE, STICKY, STRONG, STUDIES, Cell
from benchmarks.claims_statistics import Made
from benchmarks.claims_subjects import Subjects, measured
from lib_sticky.lab.probing import matched_scale
from lib_sticky.lab.sticky_arms import placebo
from lib_sticky.lab.watching import summary
from lib_sticky.studio.models import chosen, shipped
from lib_sticky.studio.probe import EmptyPrompt
from lib_sticky.studio.sampling import sample
from lib_sticky.studio.watching import Watch

SHEET = 6
"""Pictures of each cell that are kept, to be looked at."""


def main() -> int:
    """Make what is missing, then write the tables; 0 also when the time is up or it was interrupted."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    path = chosen(options.model)
    studies = [STUDIES[name] for name in options.studies.split(",")]
    subjects = Subjects.of(path in shipped(), Path(options.prompts) if options.prompts else None)
    known = {"model": _digest(path), "block": options.block, "dtype": options.dtype, "prompts": subjects.digest()}
    folder = Path(options.out) / f"{path.stem}-{hashlib.sha256(json.dumps(known).encode()).hexdigest()[:8]}"
    run = Run(folder, Models(path, folder / "models", options.dtype), subjects, options.block)
    cells = list(dict.fromkeys(cell for study in studies for cell in study.cells))
    try:
        run.make(cells, options.blocks, time.monotonic() + 60 * options.minutes)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
    about = {**known, "file": path.name, "command": f"python -m benchmarks.claims --dtype {options.dtype}"}
    print(write_figures(folder, tuple(STUDIES.values()), run.made, subjects.colours(), about, docs=options.docs))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=15.0, help="begin nothing new after that (default: 15)")
    parser.add_argument("--blocks", type=int, default=1000, help="at most so many blocks of prompts (default: 1000)")
    parser.add_argument("--block", type=int, default=16, help="prompts made at once (default: 16)")
    parser.add_argument("--studies", default=",".join(STUDIES), help=f"some of {','.join(STUDIES)} (default: all)")
    parser.add_argument("--model", default="", help="a model file or folder (default: the shipped one)")
    parser.add_argument("--prompts", default="", help="a file of prompts, one a line; needed with another model")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the UNet, on a CPU")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", default="out/claims", help="gets a folder for this model (default: out/claims)")
    parser.add_argument("--docs", action="store_true", help="put the tables into docs/CLAIMS.md too")
    return parser


def _digest(path: Path) -> str:
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    found = hashlib.sha256()
    for each in files:
        found.update(each.read_bytes())
    return found.hexdigest()


class Run:
    """What was made so far, and making more of it."""

    def __init__(self, folder: Path, models: Models, subjects: Subjects, block: int) -> None:
        self._folder, self._models, self._subjects, self._block = folder, models, subjects, block
        self._log = folder / "log.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self.made: dict[str, dict[int, Made]] = {}
        for line in self._log.read_text(encoding="utf-8").splitlines() if self._log.is_file() else []:
            try:
                self._take(Made(**json.loads(line)))
            except (ValueError, TypeError):
                continue  # The line that an interrupt cut short.

    def _take(self, made: Made) -> None:
        self.made.setdefault(made.cell, {})[made.block] = made

    def make(self, cells: Sequence[Cell], blocks: int, until: float) -> None:
        """Block after block, all cells of each, until that many are there or `until` (of time.monotonic) has come."""
        for block in range(blocks):
            for cell in cells:
                if block in self.made.get(cell.name, {}):
                    continue
                if time.monotonic() > until or (cell.model != BASE and not self._subjects.judged):
                    break
                made = self._cell(cell, block)
                with self._log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(made)) + "\n")
                self._take(made)
                print(f"block {block + 1}, {cell.name}: {made.seconds:.1f} s", file=sys.stderr, flush=True)

    def _cell(self, cell: Cell, block: int) -> Made:
        host = self._models.open(cell.model)
        numbers = range(block * self._block, (block + 1) * self._block)
        scale = self._scale(cell)
        job = cell.job(host.native_size(), placebo(STRONG, host.count_tokens), scale)
        job = replace(job, seed=numbers[0], batch=len(numbers), prompt=self._subjects.text(numbers[0]))
        probed = cell.kind == STICKY and not cell.over and cell.model == BASE and block == 0
        watch = Watch(strip=False, empty=EmptyPrompt(host, job) if probed else None)
        started = time.process_time()
        texts = [self._subjects.text(number) for number in numbers]
        for moment in sample(host, job, prompts=texts):
            watch.see(moment)
            latents = moment.latents
        pictures = self._models.pictures(host, latents)
        seconds = time.process_time() - started
        said = self._subjects.said(numbers, pictures)
        found = [{**measured(one), **summary(steps)} for one, steps in zip(pictures, watch.steps, strict=True)]
        if block == 0:
            self._keep(cell, pictures[:SHEET])
        return Made(cell.name, block, scale, seconds, list(map(dict, said)), found, _probed(watch))

    def _keep(self, cell: Cell, pictures: Sequence[Image.Image]) -> None:
        folder = self._folder / "pictures" / cell.name.replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        for index, picture in enumerate(pictures):
            picture.save(folder / f"{index}.png")

    def _scale(self, cell: Cell) -> float:
        """The CFG scale of the cell; a matched one's is the effective scale that was probed."""
        if not cell.matched:
            return cell.cfg
        return matched_scale(cell.cfg, [ratio for _, ratio, _ in self.made[cell.matched][0].probes])


def _probed(watch: Watch) -> list[tuple[int, float, float]]:
    """(step, ratio, alpha) of every probe."""
    return [(probe.step, probe.ratio, probe.dilution) for found in watch.probes for probe in found]


if __name__ == "__main__":
    sys.exit(main())
