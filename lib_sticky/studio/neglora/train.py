"""`neglora train`: a LoRA on a folder of pictures with captions, on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib_sticky.lab.dataset import DatasetError, examples
from lib_sticky.lora.train import Pace
from lib_sticky.prompt.wrong import CAPTION

if TYPE_CHECKING:
    from lib_sticky.studio.neglora.training import Run


@dataclass(frozen=True)
class Plan:
    """Everything that decides what is trained; what it is trained on and with goes with it."""

    name: str
    rank: int
    alpha: float
    pace: Pace
    text_encoder: bool
    size: int
    bf16: bool
    checkpointing: bool
    sample_every: int
    sample_prompt: str
    save_every: int


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument(
        "--data", default="out/neglora", metavar="DIR", help="pictures with captions (default: out/neglora)"
    )
    parser.add_argument(
        "--caption", default="", metavar="TEXT", help="for pictures without a text file (default: none)"
    )
    parser.add_argument("--name", default=CAPTION, help=f"of the file that is written (default: {CAPTION})")
    parser.add_argument("--rank", type=int, default=8, metavar="N", help="of the factors (default: 8)")
    parser.add_argument(
        "--alpha", type=float, default=0.0, metavar="X", help="scale times the rank (default: the rank)"
    )
    pace = Pace()
    parser.add_argument("--steps", type=int, default=pace.steps, metavar="N", help=f"steps (default: {pace.steps})")
    parser.add_argument(
        "--batch", type=int, default=pace.batch, metavar="N", help=f"pictures a step (default: {pace.batch})"
    )
    parser.add_argument(
        "--rate", type=float, default=pace.rate, metavar="X", help=f"learning rate (default: {pace.rate:g})"
    )
    parser.add_argument("--seed", type=int, default=pace.seed, metavar="N", help=f"(default: {pace.seed})")
    parser.add_argument("--size", type=int, default=0, metavar="N", help="side of the pictures (default: the model's)")
    parser.add_argument("--text-encoder", action="store_true", help="train the text encoder too")
    parser.add_argument("--bf16", action="store_true", help="hold the model in bfloat16; the factors stay in float32")
    parser.add_argument("--checkpointing", action="store_true", help="less memory for more time")
    parser.add_argument(
        "--sample-every", type=int, default=100, metavar="N", help="steps between samples; 0: none (default: 100)"
    )
    parser.add_argument("--sample-prompt", default="", metavar="TEXT", help="of the samples (default: empty)")
    parser.add_argument(
        "--save-every", type=int, default=100, metavar="N", help="steps between states to resume from (default: 100)"
    )
    parser.add_argument("--model", default="", metavar="PATH", help="a model file or folder (default: the shipped one)")
    parser.add_argument("--out", default="out/neglora/lora", metavar="DIR", help="(default: out/neglora/lora)")


def run(parser: argparse.ArgumentParser, found: argparse.Namespace) -> int:
    """Train, or go on; 0 when the LoRA is written, 130 when interrupted."""
    plan = _plan(parser, found)
    out = Path(found.out).expanduser()
    if out.exists() and not out.is_dir():
        parser.error(f"--out: {out} is a file; name a folder")
    try:
        pictures = examples(Path(found.data).expanduser(), found.caption)
    except DatasetError as error:
        parser.error(f"--data: {error}")
    from lib_sticky.studio.models import ModelError, chosen
    from lib_sticky.studio.neglora.training import Run

    try:
        path = chosen(found.model)
        training = Run.begin(path, pictures, plan, out)
    except (ModelError, DatasetError) as error:
        parser.error(str(error))
    try:
        _show(training, training.steps())
        print(training.finish())
    except KeyboardInterrupt:
        training.keep()
        print("\ncancelled; the state is kept, the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def _plan(parser: argparse.ArgumentParser, found: argparse.Namespace) -> Plan:
    if found.rank < 1 or found.steps < 1 or found.batch < 1 or found.rate <= 0 or found.save_every < 1:
        parser.error("--rank, --steps, --batch and --save-every must be 1 or more, --rate above 0")
    if found.size % 64 or found.size < 0:
        parser.error(f"--size: {found.size} is no multiple of 64")
    pace = Pace(found.steps, found.batch, found.rate, seed=found.seed)
    return Plan(
        found.name, found.rank, found.alpha or float(found.rank), pace, found.text_encoder, found.size, found.bf16,
        found.checkpointing, found.sample_every, found.sample_prompt, found.save_every,
    )  # fmt: skip


def _show(training: Run, losses: Iterator[float]) -> None:
    total = training.plan.pace.steps
    recent: list[float] = []
    for loss in losses:
        recent.append(loss)
        done = len(training.trainer.losses)
        if done % 20 == 0 or done == total:
            mean = sum(recent) / len(recent)
            print(f"step {done} of {total}: loss {mean:.4f}", file=sys.stderr, flush=True)
            recent.clear()
