"""`neglora compare`: five ways of using a LoRA of what is wrong, on the same prompts and seeds, in a report."""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lib_sticky import __version__
from lib_sticky.option import ConfigError
from lib_sticky.prompt.wrong import CAPTION
from lib_sticky.studio.flags import add_job_fields, folder_and_model
from lib_sticky.studio.job import Job, JobError
from lib_sticky.studio.progress_line import show

if TYPE_CHECKING:
    from lib_sticky.hosts.diffusers import Diffusers
    from lib_sticky.studio.neglora.arms import Comparison

_SHARED = ("sampler", "clip_skip")
_PICTURES = 96


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument(
        "--lora", default="out/neglora/lora/wrong.safetensors", metavar="FILE",
        help="(default: out/neglora/lora/wrong.safetensors)",
    )  # fmt: skip
    parser.add_argument("--word", default=CAPTION, help=f"that the LoRA was trained under (default: {CAPTION})")
    parser.add_argument("--strength", type=float, default=1.0, metavar="X", help="of the LoRA (default: 1)")
    parser.add_argument(
        "--prompt", action="append", default=[], metavar="TEXT",
        help="may be given several times (default, with the shipped model only: prompts that it was not trained on)",
    )  # fmt: skip
    parser.add_argument(
        "--pictures", type=int, default=_PICTURES, metavar="N",
        help=f"an arm, each of the next prompt and seed (default: {_PICTURES})",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first (default: 1)")
    parser.add_argument("--cfg", type=float, nargs="+", default=[7.0], metavar="X", help="CFG scales (default: 7)")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="steps (default: 20)")
    add_job_fields(parser, _SHARED)
    parser.add_argument("--model", default="", metavar="PATH", help="a model file or folder (default: the shipped one)")
    parser.add_argument(
        "--out", default="out/neglora", metavar="DIR", help="gets a folder for this comparison (default: out/neglora)"
    )


def run(parser: argparse.ArgumentParser, found: argparse.Namespace) -> int:
    """Compare; 0 when the report is written, 130 when interrupted."""
    lora = Path(found.lora).expanduser().resolve()
    if not lora.is_file():
        parser.error(f"--lora: there is no file {lora}; train one: run.py neglora train")
    out, path, host = folder_and_model(parser, found)
    from lib_sticky.lab.comparing import Comparing
    from lib_sticky.lab.comparison_report import Reporting
    from lib_sticky.studio.neglora.comparing import LoraMaker
    from lib_sticky.studio.neglora.report import LoraTelling

    try:
        comparison = _comparison(host, found, path, lora)
        folder = out / _folder_name(comparison, path, lora)
        show(Comparing(comparison.plan, LoraMaker(host, comparison, path), folder).run())
    except (JobError, ConfigError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("\ncancelled; finished pictures are kept, the same command goes on from there", file=sys.stderr)
        return 130
    made_by = f"sticky studio {__version__}: python run.py {shlex.join(sys.argv[1:])}"
    print(Reporting(comparison.plan, LoraTelling(comparison, path.stem, made_by), folder).write().path)
    return 0


def _comparison(host: Diffusers, found: argparse.Namespace, model: Path, lora: Path) -> Comparison:
    from lib_sticky.lab.compare import Setting
    from lib_sticky.studio.neglora.arms import Comparison
    from lib_sticky.studio.sampling import sized

    if found.pictures < 1 or found.seed < 0:
        raise JobError("pictures", "--pictures must be 1 or more, --seed 0 or more")
    prompts = tuple(found.prompt) or _held_out(model, found.pictures)
    base = sized(Job(**{name: getattr(found, name) for name in _SHARED}, steps=found.steps, seed=found.seed), host)
    settings = tuple(Setting(cfg, found.steps, base.width, base.height) for cfg in dict.fromkeys(found.cfg))
    return Comparison(base, prompts, settings, found.pictures, found.word, str(lora), found.strength)


def _held_out(model: Path, count: int) -> tuple[str, ...]:
    """Prompts that the shipped model's training never drew, each of one shape and one colour, which its judges know."""
    from lib_sticky.studio.judging import wanted
    from lib_sticky.studio.models import shipped

    if model not in shipped():
        raise JobError("prompt", "--prompt: give one or more; only the shipped model has prompts of its own")
    from lib_sticky.lab.demo.arms import Prompts

    known = (text for text in Prompts.held_out(3 * count).texts if None not in wanted(text))
    return tuple(text for text, _ in zip(known, range(count), strict=False))


def _folder_name(comparison: Comparison, model: Path, lora: Path) -> str:
    """The same for the same comparison with unchanged files, so that a repeated command goes on where it stopped."""
    from lib_sticky.studio.neglora.identity import model_hash

    told = json.dumps([asdict(comparison), model_hash(model), model_hash(lora)], sort_keys=True)
    return f"compare-{lora.stem}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
