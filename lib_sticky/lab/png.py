"""Pictures as PNG files that carry A1111's infotext; none is ever overwritten or left half-written."""

from __future__ import annotations

import base64
import io
import os
import re
import secrets
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

CHUNK = "parameters"
"""The text chunk in which A1111 looks for the infotext."""

SMALL, QUICK = 6, 1
"""How hard zlib works: a quick filmstrip is a quarter larger and takes two thirds of the time."""

_NUMBERED = re.compile(r"(\d+)-.*\.png\Z")


def save(picture: Image.Image, folder: Path, name: str, text: str, effort: int = SMALL) -> Path:
    """Write `picture` to `folder` as the next number, `name` and `.png`, with `text` as its infotext."""
    folder.mkdir(parents=True, exist_ok=True)
    about = PngInfo()
    about.add_text(CHUNK, text)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", pnginfo=about, compress_level=effort)
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


def small_uri(picture: Image.Image, side: int = 256) -> str:
    """A small JPEG of the picture as a data URI, for pages that carry their pictures inside."""
    small = picture.convert("RGB")
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


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
