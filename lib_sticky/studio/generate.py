"""`generate`: pictures from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib_sticky.option import ConfigError
from lib_sticky.studio.flags import add_job_flags, folder_and_model, job_of
from lib_sticky.studio.job import OPTIONS, Job, JobError

if TYPE_CHECKING:
    from lib_sticky.hosts.diffusers import Diffusers
    from lib_sticky.studio.making import Made
    from lib_sticky.studio.watching import Watch


def main(argv: Sequence[str]) -> int:
    """Make pictures; 0 when they are written, 2 when a flag cannot be used, 130 when interrupted."""
    parser = _parser()
    found = parser.parse_args(list(argv))
    try:
        job = job_of(found)
        if not 0 <= found.feels_like <= OPTIONS["cfg"].maximum:
            raise ValueError(f"--feels-like: {found.feels_like:g} is outside 0 to {OPTIONS['cfg'].maximum:g}")
    except ValueError as error:
        parser.error(str(error))
    out, path, host = folder_and_model(parser, found)
    try:
        if found.feels_like:
            job = _felt(host, job, found.feels_like)
        return _run(host, path.stem, job, out, compare=found.compare)
    except (ConfigError, JobError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("\ncancelled; pictures that were finished are kept", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py generate", description="Make pictures and write them as PNG files.")
    add_job_flags(parser)
    files = parser.add_argument_group("files")
    files.add_argument("--model", default="", metavar="PATH", help="a model file or folder (default: the shipped one)")
    files.add_argument("--out", default="out", metavar="DIR", help="where pictures go, numbered on (default: out)")
    files.add_argument(
        "--compare", action="store_true", help="make each picture without and with Sticky, and both side by side"
    )
    files.add_argument(
        "--feels-like", type=float, default=0.0, metavar="X",
        help="choose the CFG scale at which the negative pushes as far as CFG X does without one; one more picture",
    )  # fmt: skip
    return parser


def _run(host: Diffusers, model: str, job: Job, out: Path, *, compare: bool) -> int:
    from lib_sticky.lab.png import save
    from lib_sticky.studio.making import settled, without_and_with
    from lib_sticky.studio.proving import filmstrip_of, scale_in_words, watch_for
    from lib_sticky.studio.side_by_side import side_by_side

    job = settled(job, host)
    columns: list[tuple[str, Made]] = []
    for each in without_and_with(job) if compare else (job,):
        watch = watch_for(host, each)
        made = _made(host, each, model, watch)
        for index, (picture, text) in enumerate(zip(made.pictures, made.infotexts, strict=True)):
            print(save(picture, out, str(each.seed + index), text))
        label = f"{'with' if each.config.enabled else 'without'} Sticky, CFG {each.cfg:g}"
        if watch and (words := scale_in_words(each, watch)):
            print(words, file=sys.stderr)
        if watch and (strip := filmstrip_of(host, made, watch, label)):
            print(save(strip, out, f"{each.seed}-filmstrip", made.infotexts[0], quick=True))
        columns.append((label, made))
    if compare:
        sheet = side_by_side([(label, made.pictures) for label, made in columns])
        print(save(sheet, out, f"{job.seed}-compare", columns[-1][1].infotexts[0]))
    return 0


def _felt(host: Diffusers, job: Job, target: float) -> Job:
    """The job at the scale that feels like `target`, its seed settled; says what its own scale amounts to."""
    from lib_sticky.studio.making import settled
    from lib_sticky.studio.probe import probes_of, scale_that_feels

    job = settled(job, host)
    scale, words = scale_that_feels(target, job, [probe.ratio for probe in probes_of(host, job)])
    print(words, file=sys.stderr)
    return replace(job, cfg=scale)


def _made(host: Diffusers, job: Job, model: str, watch: Watch | None) -> Made:
    from lib_sticky.guidance.report import lines
    from lib_sticky.studio.making import Made, make

    for event in make(host, job, model):
        if isinstance(event, Made):
            print("", *lines(event.records), sep="\n", file=sys.stderr)
            return event
        if watch:
            watch.see(event)
        print(f"\rstep {event.step}/{event.steps}", end="", file=sys.stderr, flush=True)
    raise RuntimeError("the job ended without pictures")
