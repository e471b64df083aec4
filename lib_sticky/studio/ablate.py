"""`ablate`: leaves each undesirable term out once and says which of them changed the pictures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib_sticky.config import ConfigError
from lib_sticky.proof_fields import PROOF
from lib_sticky.studio.flags import add_job_flags, folder_and_model, job_of
from lib_sticky.studio.job import Job, JobError

if TYPE_CHECKING:
    from PIL import Image

    from lib_sticky.hosts.diffusers import Diffusers
    from lib_sticky.studio.ablation import Effect, Pictures

_SHOWN = 6
"""Seeds in the sheet."""


def main(argv: Sequence[str]) -> int:
    """Leave terms out; 0 when the table is written, 2 when a flag cannot be used, 130 when interrupted."""
    parser = argparse.ArgumentParser(
        prog="run.py ablate",
        description="Make the same seeds with all undesirable terms and with each of them left out, and sort the terms "
        "by how much they change the picture. The negative is the sticky one.",
    )
    add_job_flags(parser, without=PROOF)
    parser.add_argument("--seeds", type=int, default=8, metavar="N", help="how many seeds (default: 8)")
    parser.add_argument("--model", default="", metavar="PATH", help="a model file or folder (default: the shipped one)")
    parser.add_argument("--out", default="out", metavar="DIR", help="where the sheet and the table go (default: out)")
    found = parser.parse_args(list(argv))
    if found.seeds < 1:
        parser.error(f"--seeds: {found.seeds} is too few; 1 is the least")
    try:
        job = job_of(found)
    except ValueError as error:
        parser.error(str(error))
    out, path, host = folder_and_model(parser, found)
    try:
        return _run(host, path, job, found.seeds, out)
    except (JobError, ConfigError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("\ncancelled; nothing was written", file=sys.stderr)
        return 130


def _run(host: Diffusers, path: Path, job: Job, seeds: int, out: Path) -> int:
    from lib_sticky.lab.compare import Setting
    from lib_sticky.lab.png import save
    from lib_sticky.studio.ablation import ablated, effects, terms_of
    from lib_sticky.studio.judging import judge_for
    from lib_sticky.studio.making import settled

    job = settled(job, host)
    count = len(terms_of(job))
    found: list[Pictures] = []
    for made in ablated(host, job, seeds, path.stem):
        found.append(made)
        print(f"\r{len(found)} of {count + 1} lists of terms", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    judge = judge_for(path, job.prompt, [Setting(job.cfg, job.steps, job.width, job.height)])
    ranked = effects(found, judge)
    sheet = save(_sheet(job, found, ranked), out, f"{job.seed}-ablation", found[0].infotexts[0])
    table = sheet.with_suffix(".md")
    table.write_text(_table(job, seeds, ranked), encoding="utf-8")
    print(table.read_text(encoding="utf-8"))
    print(sheet)
    print(table)
    return 0


def _sheet(job: Job, found: Sequence[Pictures], ranked: Sequence[Effect]) -> Image.Image:
    from lib_sticky.lab.labelled import labelled

    by_term = {made.lacking: made.pictures for made in found}
    order = ["", *(effect.term for effect in ranked)]
    columns = ["all terms", *(f"without {effect.term}" for effect in ranked)]
    count = min(_SHOWN, len(by_term[""]))
    pictures = [[by_term[term][row] for term in order] for row in range(count)]
    title = f"CFG {job.cfg:g}, {job.steps} steps: what each undesirable term does"
    return labelled(title, columns, [f"seed {job.seed + row}" for row in range(count)], pictures)


def _table(job: Job, seeds: int, ranked: Sequence[Effect]) -> str:
    names = list(ranked[0].changes)
    about = (
        f"{job.prompt}, CFG {job.cfg:g}, {seeds} seeds from {job.seed}. With the term minus without it; mean and 95% "
        "interval by bootstrap over seeds. Moved: root mean square of the difference of the pictures, of 255."
    )
    lines = [
        about,
        "",
        f"| term | moved | {' | '.join(names)} |",
        f"| --- | --- |{' --- |' * len(names)}",
    ]
    for effect in ranked:
        cells = [f"{each.value:+.3g} [{each.low:+.3g}, {each.high:+.3g}]" for each in effect.changes.values()]
        moved = f"{effect.moved.value:.1f} [{effect.moved.low:.1f}, {effect.moved.high:.1f}]"
        lines.append(f"| {effect.term} | {moved} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
