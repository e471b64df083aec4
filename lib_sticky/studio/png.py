"""Pictures as PNG files that carry A1111's infotext; none is ever overwritten or left half-written."""

from __future__ import annotations

import io
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lib_sticky import __version__
from lib_sticky.infotext import KEY, dump
from lib_sticky.studio.job import Job

CHUNK = "parameters"
"""The text chunk in which A1111 looks for the infotext."""

_NUMBERED = re.compile(r"(\d+)-.*\.png\Z")


def infotext(job: Job, index: int, model: str) -> str:
    """How picture `index` of the job was made, as A1111's `create_infotext` writes it (modules/processing.py).

    The negative stands as typed; what Sticky made of it follows from the `Sticky` key.
    """
    params: dict[str, Any] = {
        "Steps": job.steps,
        "Sampler": job.sampler,
        "Schedule type": "Automatic",
        "CFG scale": f"{job.cfg:g}",
        "Seed": job.seed + index,
        "Size": f"{job.width}x{job.height}",
        "Model": model,
        "Clip skip": job.clip_skip if job.clip_skip > 1 else None,
        "RNG": "CPU",
        KEY: dump(job.config),
        "Version": f"sticky studio {__version__}",
    }
    last = ", ".join(f"{name}: {_quoted(str(value))}" for name, value in params.items() if value is not None)
    negative = f"\nNegative prompt: {job.negative}" if job.negative else ""
    return f"{job.prompt}{negative}\n{last}".strip()


def _quoted(value: str) -> str:
    """`value` in JSON's quotes where A1111's reader would cut it (modules/infotext_utils.py, quote)."""
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ",:\n") else value


def save(picture: Image.Image, folder: Path, name: str, text: str) -> Path:
    """Write `picture` to `folder` as the next number, `name` and `.png`, with `text` as its infotext."""
    folder.mkdir(parents=True, exist_ok=True)
    about = PngInfo()
    about.add_text(CHUNK, text)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", pnginfo=about)
    partial = folder / f".{secrets.token_hex(8)}.part"
    try:
        with partial.open("xb") as file:
            file.write(buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        path = _reserved(folder, name)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return path


def _reserved(folder: Path, name: str) -> Path:
    """A file of the next free number, created empty so that nobody else takes it."""
    number = 1 + max((int(found[1]) for path in folder.iterdir() if (found := _NUMBERED.match(path.name))), default=0)
    while True:
        path = folder / f"{number:05d}-{name}.png"
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            return path
