"""`compare`: the same seeds with an empty, a classic, a sticky and a placebo negative, and a report on them."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib_sticky import config
from lib_sticky.config import Config, ConfigError
from lib_sticky.studio import job as jobs
from lib_sticky.studio.flags import out_folder
from lib_sticky.studio.job import NATIVE, Job, JobError
from lib_sticky.studio.progress_line import show

if TYPE_CHECKING:
    from lib_sticky.studio.arms import Comparison
    from lib_sticky.studio.comparing import Judge, StudioMaker
    from lib_sticky.studio.models import OneAtATime

_JOB = ("prompt", "sampler", "clip_skip")
_TERMS = ("terms", "placement", "start", "stop")


def main(argv: Sequence[str]) -> int:
    """Compare; 0 when the report is written, 2 when a flag cannot be used, 130 when interrupted."""
    parser = _parser()
    found = parser.parse_args(list(argv))
    try:
        base = _base(found)
    except (JobError, ConfigError) as error:
        parser.error(_said(error))
    out = out_folder(parser, found)
    from lib_sticky.studio.arms import folder_name
    from lib_sticky.studio.comparing import StudioMaker
    from lib_sticky.studio.models import ModelError, OneAtATime

    try:
        models = OneAtATime.named(found.model)
        comparison = _planned(models, base, found)
    except ModelError as error:
        parser.error(f"--model: {error}")
    except (JobError, ConfigError) as error:
        parser.error(_said(error))
    folder = out / folder_name(comparison, list(models.paths.values()))
    names = ", ".join(path.stem for path in models.paths.values())
    maker = StudioMaker(models.open, comparison, names, _judge(models, comparison), found.filmstrip)
    return _run(maker, folder, f"python run.py compare {shlex.join(argv)}")


def _planned(models: OneAtATime, base: Job, found: argparse.Namespace) -> Comparison:
    from lib_sticky.studio.arms import planned, swept

    return swept(
        [
            planned(models.open(name), base, found.seeds, found.cfg, found.steps, found.size, name)
            for name in models.paths
        ]
    )


def _judge(models: OneAtATime, comparison: Comparison) -> Judge | None:
    """The shipped model's judges, where it is the only one."""
    from lib_sticky.studio.judging import judge_for

    first, *others = models.paths.values()
    return None if others else judge_for(first, comparison.base.prompt, comparison.settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run.py compare",
        description="Make the same seeds with an empty negative (A0), undesirable terms (A1), a sticky negative (A2), "
        "a placebo (A3) and a CFG scale matched to A2 (A4), and write a report. The same command goes on where it "
        "stopped.",
    )
    for name in _JOB:
        _flag(parser, name, jobs.OPTIONS[name], jobs.DEFAULTS[name])
    for name in _TERMS:
        _flag(parser, name, config.OPTIONS[name], config.DEFAULTS[name])
    parser.add_argument("--seeds", type=int, default=8, metavar="N", help="how many seeds (default: 8)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the first of them (default: 1)")
    parser.add_argument("--cfg", type=float, nargs="+", default=[7.0, 20.0], metavar="X", help="scales (default: 7 20)")
    parser.add_argument("--steps", type=int, nargs="+", default=[20], metavar="N", help="steps (default: 20)")
    parser.add_argument(
        "--size", type=_size, nargs="+", default=[(NATIVE, NATIVE)], metavar="WxH",
        help="sizes, such as 512x768 (default: the model's own)",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="pictures made at once (default: 4)")
    parser.add_argument(
        "--filmstrip", choices=("fast", "vae"), default="fast",
        help="how predictions become pictures: fast, by a linear map, or by the VAE (default: fast)",
    )  # fmt: skip
    parser.add_argument(
        "--model", nargs="+", default=[""], metavar="PATH",
        help="model files or folders, each compared in all arms (default: the shipped one)",
    )  # fmt: skip
    parser.add_argument("--out", default="out", metavar="DIR", help="gets a folder for this comparison (default: out)")
    return parser


def _flag(parser: argparse.ArgumentParser, name: str, about: config.Option, default: str | float) -> None:
    kind = type(default)
    shown = f"{default:g}" if isinstance(default, (int, float)) else default or "empty"
    parser.add_argument(
        "--" + name.replace("_", "-"), type=kind, default=default, choices=about.choices or None,
        metavar=None if about.choices else {str: "TEXT", int: "N", float: "X"}[kind],
        help=f"{about.help} (default: {shown})".replace("%", "%%"),
    )  # fmt: skip


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 512x768")
    return int(width), int(height)


def _base(found: argparse.Namespace) -> Job:
    terms = Config(**{name: getattr(found, name) for name in _TERMS})
    if found.seed < 0:
        raise JobError("seed", "a comparison needs seeds that can be made again; use 0 or more")
    return Job(**{name: getattr(found, name) for name in _JOB}, seed=found.seed, batch=found.batch, config=terms)


def _said(error: JobError | ConfigError) -> str:
    """The error, its flag named first."""
    words = str(error).removeprefix(f"Sticky: {error.field}: ")
    return f"--{error.field.replace('_', '-')}: {words}"


def _run(maker: StudioMaker, folder: Path, command: str) -> int:
    from lib_sticky.lab.comparing import Comparing
    from lib_sticky.studio.comparing import reported

    try:
        show(Comparing(maker.comparison.plan, maker, folder).run())
        report = reported(maker, folder, command)
    except KeyboardInterrupt:
        print("\ncancelled; finished pictures are kept, the same command goes on from there", file=sys.stderr)
        return 130
    print(report)
    return 0
