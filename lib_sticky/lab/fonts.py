"""A font for labels, whichever Pillow there is: WebUIs pin versions that cannot scale their own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from PIL import ImageDraw, ImageFont

_FILES = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf")
"""Found by name in the system's folders of fonts."""


@lru_cache(maxsize=8)
def font(size: int) -> Any:
    """Pillow's own font in `size` pixels (from 10.1), else one of the system's, else Pillow's one small bitmap font."""
    try:
        return ImageFont.load_default(size=size)
    except TypeError:
        pass
    for name in _FILES:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default()


def width_of(text: str, size: int) -> int:
    """How many pixels `text` is wide."""
    return round(font(size).getlength(_writable(text, size)))


def write(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]) -> None:
    """Write `text` with its upper left corner at `at`."""
    draw.text(at, _writable(text, size), fill=colour, font=font(size))


def _writable(text: str, size: int) -> str:
    """The bitmap font knows Latin-1 only."""
    return (
        text if isinstance(font(size), ImageFont.FreeTypeFont) else text.encode("latin-1", "replace").decode("latin-1")
    )
