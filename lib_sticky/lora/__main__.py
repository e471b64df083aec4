"""`python -m lib_sticky.lora combine|extract`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib_sticky.merge.errors import MergeError

from .combine import combine
from .extract import extract


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    chosen = _parser().parse_args(argv)
    try:
        if chosen.command == "combine":
            inputs = [_strength(text) for text in chosen.inputs]
            print(f"rank {combine(inputs, chosen.output, rank=chosen.rank, overwrite=chosen.overwrite)}")
        else:
            limits = {"rank": chosen.rank, "least": chosen.least, "overwrite": chosen.overwrite}
            print(f"{extract(chosen.tuned, chosen.base, chosen.output, **limits)} modules")
    except MergeError as error:
        print(f"lora: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lora", description="Merge LoRAs, or extract one from two checkpoints.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("combine", help="the sum of LoRAs, exact, or of a chosen rank")
    one.add_argument("inputs", nargs="+", metavar="FILE[=STRENGTH]")
    one.add_argument("--rank", type=int)
    two = commands.add_parser("extract", help="tuned - base as a LoRA")
    two.add_argument("tuned", type=Path)
    two.add_argument("base", type=Path)
    two.add_argument("--rank", type=int, default=32)
    two.add_argument("--least", type=float, default=0.0, help="leave out tensors that differ by no more than this")
    for command in (one, two):
        command.add_argument("-o", "--output", type=Path, required=True)
        command.add_argument("--overwrite", action="store_true")
    return parser


def _strength(text: str) -> tuple[Path, float]:
    name, _, strength = text.rpartition("=")
    try:
        return (Path(name), float(strength)) if name else (Path(text), 1.0)
    except ValueError as error:
        raise MergeError(f"{text!r}: write FILE or FILE=STRENGTH") from error


if __name__ == "__main__":
    sys.exit(main())
