"""`python -m lib_sticky.studio [command]`: the page, or one of the commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec

COMMANDS: Mapping[str, tuple[str, str]] = {
    "page": ("lib_sticky.studio.page", "open the studio in the browser (also without a command)"),
    "generate": ("lib_sticky.studio.generate", "make pictures and write them to a folder"),
    "compare": ("lib_sticky.studio.compare", "compare negatives on the same seeds, with a placebo, in a report"),
    "ablate": ("lib_sticky.studio.ablate", "leave each undesirable term out once, and sort them by effect"),
    "neglora": ("lib_sticky.studio.neglora.command", "teach a LoRA what is wrong and use it on the negative side"),
    "untitled": ("lib_sticky.studio.untitled", "make pictures with no prompt and count those worth keeping"),
    "merge": ("lib_sticky.merge.command", "merge checkpoints"),
    "train-demo": ("lib_sticky.lab.demo.train", "train the small model that ships"),
}
"""Each command's module, imported only when it is asked for, and what it does; the module has main(argv) -> int."""

ENVIRONMENT: Mapping[str, str] = {
    # Threads that spin while they wait for each other take 15 times as long on a busy machine.
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
}
"""Set before torch and the others are imported, where the user has not set them."""


def main(argv: Sequence[str]) -> int:
    """Run the command that `argv` names and return its exit status."""
    first = argv[0] if argv else "page"
    if first in ("-h", "--help"):
        print(_help())
        return 0
    if first.startswith("-"):
        return _run("page", argv)
    if first not in COMMANDS:
        print(f"there is no command {first!r}\n\n{_help()}", file=sys.stderr)
        return 2
    return _run(first, argv[1:])


def _help() -> str:
    rows = "\n".join(f"  {name:<12} {about}" for name, (_, about) in COMMANDS.items())
    return (
        f"usage: run.py [command] [flags]\n\ncommands:\n{rows}\n\nrun.py COMMAND --help lists the flags of a command."
    )


def _run(name: str, argv: Sequence[str]) -> int:
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    module = COMMANDS[name][0]
    if find_spec(module) is None:
        print(f"the command {name!r} is not in this copy: {module} is missing", file=sys.stderr)
        return 2
    return int(import_module(module).main(argv))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
