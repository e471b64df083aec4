"""Text files beside pictures: none is ever overwritten or left half-written."""

from __future__ import annotations

import os
from pathlib import Path


def write_new(folder: Path, name: str, text: str) -> Path:
    """Write `text` to `name`, or to `name` with the first free number; never to a file that exists, never half."""
    stem, dot, ending = name.partition(".")
    partial = folder / f".{name}.part"
    partial.write_text(text, encoding="utf-8", newline="")
    number = 1
    while True:
        path = folder / (name if number == 1 else f"{stem}-{number}{dot}{ending}")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            os.replace(partial, path)
            return path
