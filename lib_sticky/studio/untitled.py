"""`untitled`: pictures with no prompt, how many of them are worth keeping, and what the model draws on its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lib_sticky.presets import UNTITLED
from lib_sticky.studio import job as jobs
from lib_sticky.studio.flags import folder_and_model
from lib_sticky.studio.job import Job, JobError

if TYPE_CHECKING:
    from lib_sticky.studio.drawing import Drawing

_JOB = ("steps", "cfg", "width", "height", "seed", "batch", "clip_skip")
_DEFAULTS = {"seed": 1, "batch": 8, "cfg": 3.0}
_DDIM = "article v2.0"
"""The preset that was made with DDIM CFG++, which is DDIM here."""


def main(argv: Sequence[str]) -> int:
    """Make the pictures; 0 when the report is written, 2 when a flag cannot be used, 130 when interrupted."""
    parser = _parser()
    found = parser.parse_args(list(argv))
    try:
        sampler = "DDIM" if found.preset == [_DDIM] else "Euler"
        job = Job(**{name: getattr(found, name) for name in _JOB}, sampler=found.sampler or sampler)
        if job.seed < 0 or found.seeds < 1:
            raise JobError("seeds", "pictures that can be made again need seeds from 0 on, and at least one")
    except JobError as error:
        parser.error(f"--{error.field.replace('_', '-')}: {error}")
    out, path, host = folder_and_model(parser, found)
    from lib_sticky.studio.drawing import Drawing
    from lib_sticky.studio.sampling import sized

    job = sized(job, host)
    presets = list(dict.fromkeys(found.preset))
    name = f"untitled-{path.stem}-{job.sampler.replace(' ', '')}-{job.steps}-{job.width}x{job.height}-cfg{job.cfg:g}"
    return _run(Drawing(host, path, job, presets, found.seeds, out / name))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py untitled",
        description="Make pictures with no prompt by one or more presets on the same seeds; write a contact sheet, a "
        "CSV file of scores and a report, and print each preset's yield with its interval. The same command goes on "
        "where it stopped.",
    )
    parser.add_argument("--preset", nargs="+", default=["U3"], choices=list(UNTITLED), help="presets (default: U3)")
    parser.add_argument("--seeds", type=int, default=16, metavar="N", help="pictures of each preset (default: 16)")
    for name in _JOB:
        about, default = jobs.OPTIONS[name], _DEFAULTS.get(name, jobs.DEFAULTS[name])
        parser.add_argument(
            "--" + name.replace("_", "-"), type=type(default), default=default, metavar="N",
            help=f"{about.help} (default: {default:g})",
        )  # fmt: skip
    parser.add_argument("--sampler", default="", choices=jobs.RENOISING, help="default: Euler; article v2.0: DDIM")
    parser.add_argument("--model", default="", metavar="PATH", help="a model file or folder (default: the shipped one)")
    parser.add_argument("--out", default="out", metavar="DIR", help="gets a folder for these settings (default: out)")
    return parser


def _run(drawing: Drawing) -> int:
    from lib_sticky.lab.compare_tables import csv_text
    from lib_sticky.lab.png import save
    from lib_sticky.lab.written import write_new
    from lib_sticky.lab.yields import differences
    from lib_sticky.studio.drawing_report import results, sheet, write_page

    try:
        for preset, done, total in drawing.run():
            print(f"{preset}: picture {done} of {total}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("\ncancelled; finished pictures are kept, the same command goes on from there", file=sys.stderr)
        return 130
    found = results(drawing)
    for each in found.values():
        print(save(sheet(drawing, each), drawing.folder, f"sheet-{each.preset}", each.sentence))
    rows = [row for each in found.values() for row in each.rows()]
    print(write_new(drawing.folder, "scores.csv", csv_text(rows)))
    print(write_new(drawing.folder, "report.html", write_page(drawing, found)))
    print(drawing.rule)
    for line in [each.sentence for each in found.values()]:
        print(line)
    for pair in differences({name: each.pictures for name, each in found.items()}):
        print(pair.sentence)
    return 0
