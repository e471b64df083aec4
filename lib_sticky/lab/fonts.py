"""A font for labels, whichever Pillow there is: WebUIs pin versions that cannot scale their own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

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


@lru_cache(maxsize=1024)
def width_of(text: str, size: int) -> int:
    """How many pixels `text` is wide."""
    return round(font(size).getlength(_writable(text, size)))


def write(picture: Image.Image, at: tuple[int, int], text: str, size: int, colour: tuple[int, int, int]) -> None:
    """Write `text` with its upper left corner at `at`."""
    picture.paste(colour, at, _stamp(text, size))


@lru_cache(maxsize=1024)
def _stamp(text: str, size: int) -> Image.Image:
    """The text as a mask; labels come again and again, and drawing one takes longer than a picture of latents."""
    mask = Image.new("L", (width_of(text, size) + 2, 2 * size))
    ImageDraw.Draw(mask).text((0, 0), _writable(text, size), fill=255, font=font(size))
    return mask


def _writable(text: str, size: int) -> str:
    """The bitmap font knows Latin-1 only."""
    if isinstance(font(size), ImageFont.FreeTypeFont):
        return text
    return text.encode("latin-1", "replace").decode("latin-1")
