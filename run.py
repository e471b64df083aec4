#!/usr/bin/env python3
"""Start here: makes the project's own environment in .venv, then opens the studio or runs a command in it.

python run.py                  the studio, in your browser
python run.py generate --help  pictures from the command line
python run.py merge --help     merge checkpoints
python run.py test             every test and check
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

from lib_sticky.studio.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
OLDEST = (3, 10)
TEST = "test"


def main(arguments: list[str]) -> int:
    """Delegate `arguments` to the environment's Python; its exit status is ours."""
    if sys.version_info < OLDEST:
        print(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 2
    command = arguments[0] if arguments else "page"
    if command == TEST:
        prepare(("studio", "test"))
        return test(arguments[1:])
    if command in COMMANDS or (command.startswith("-") and command not in ("-h", "--help")):
        prepare(("studio",))
        return call([str(python()), "-m", "lib_sticky.studio", *arguments])
    return call([sys.executable, "-m", "lib_sticky.studio", command])


def test(arguments: list[str]) -> int:
    """Static checks, then pytest with `arguments`; the first failing status, after all have run."""
    checks = (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("pyright", "--pythonpath", str(python())),
    )
    results = [] if arguments else [call([str(python()), "-m", *check]) for check in checks]
    results.append(call([str(python()), "-m", "pytest", *arguments]))
    return next((status for status in results if status), 0)


def prepare(extras: tuple[str, ...]) -> None:
    """Make .venv and install `extras` into it, unless that was done for this very set of requirements."""
    stamp = VENV / f".installed-{'-'.join(extras)}"
    wanted = fingerprint()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    if not python().is_file():
        print(f"Making {VENV} (once; with PyTorch this takes some minutes) …", flush=True)
        venv.create(VENV, with_pip=True)
    requirement = f"{ROOT}[{','.join(extras)}]"
    pip = [str(python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    status = call([*pip, "-c", str(ROOT / "constraints.txt"), "-e", requirement])
    if status:
        sys.exit(f"Installing failed (pip's message is above). Mend the cause, or delete {VENV} and start again.")
    stamp.write_text(wanted)


def fingerprint() -> str:
    """Changes whenever what is to be installed, or the Python that it is for, does."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256(b"".join([*parts, sys.version.encode(), str(ROOT).encode()])).hexdigest()


def python() -> Path:
    """The environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def call(command: list[str]) -> int:
    """Run `command` in the user's folder, so that relative paths mean what they say; its status."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    folder = ROOT if command[2] in ("ruff", "pyright", "pytest") else None
    try:
        return subprocess.call(command, env=environment, cwd=folder)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
