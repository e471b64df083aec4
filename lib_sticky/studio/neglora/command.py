"""`neglora make|train|compare`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lib_sticky.studio.neglora import compare, make, train

_PARTS = {
    "make": (make, "make wrong pictures with the model itself, as a folder to train on"),
    "train": (train, "train a LoRA on them, or on any folder of pictures with captions"),
    "compare": (compare, "compare five ways of using the LoRA on the same seeds, in a report"),
}


def main(argv: Sequence[str]) -> int:
    """Run one part of the experiment; 0 when it is done, 2 when a flag cannot be used, 130 when interrupted."""
    parser = argparse.ArgumentParser(
        prog="run.py neglora",
        description="Teach a LoRA what is wrong, and use it on the negative side. Every part goes on where it stopped.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="part", required=True, metavar="make|train|compare")
    own: dict[str, argparse.ArgumentParser] = {}
    for name, (module, about) in _PARTS.items():
        own[name] = parts.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        module.add_flags(own[name])
    parser.epilog = "".join(each.format_usage().removeprefix("usage: ") for each in own.values())
    found = parser.parse_args(list(argv))
    return _PARTS[found.part][0].run(own[found.part], found)
