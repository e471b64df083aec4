"""Pictures in rows and columns with their labels, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from .fonts import width_of, write

_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)
_GAP = 6
_LARGE, _SMALL = 15, 12
_LEAST, _MOST = 96, 512
"""Smaller pictures are repeated to whole multiples, so that their pixels can be seen; larger ones are averaged down."""


def labelled(
    title: str,
    columns: Sequence[str],
    rows: Sequence[str],
    pictures: Sequence[Sequence[Image.Image]],
    captions: Sequence[Sequence[str]] | None = None,
) -> Image.Image:
    """`pictures` by row and column, all of one size, labelled; `captions` stand under them. ValueError without any."""
    if not pictures or not pictures[0]:
        raise ValueError("a sheet needs at least one picture")
    width, height = _shown(pictures[0][0])
    left = _GAP + max(width_of(row, _LARGE) for row in rows) + _GAP
    line = 22
    below = 18 if captions else 0
    top = _GAP + 2 * line
    across = max(width, *(width_of(label, _LARGE) for label in columns)) + _GAP
    down = height + below + _GAP
    wide = max(left + len(columns) * across, width_of(title, _LARGE) + 2 * _GAP)
    sheet = Image.new("RGB", (wide, top + len(rows) * down), _PAPER)
    write(sheet, (_GAP, _GAP), title, _LARGE, _INK)
    for index, label in enumerate(columns):
        write(sheet, (left + index * across, _GAP + line), label, _LARGE, _INK)
    for row, label in enumerate(rows):
        y = top + row * down
        write(sheet, (_GAP, y + height // 2 - 8), label, _LARGE, _INK)
        for column, picture in enumerate(pictures[row]):
            x = left + column * across
            sheet.paste(_resized(picture, (width, height)), (x, y))
            if captions and captions[row][column]:
                write(sheet, (x, y + height + 1), captions[row][column], _SMALL, _FAINT)
    return sheet


def _shown(picture: Image.Image) -> tuple[int, int]:
    """The size at which a picture is shown."""
    largest = max(picture.size)
    if largest > _MOST:
        return max(1, picture.width * _MOST // largest), max(1, picture.height * _MOST // largest)
    times = -(-_LEAST // largest)
    return picture.width * times, picture.height * times


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    smaller = picture.width > size[0]
    return picture.convert("RGB").resize(size, Image.Resampling.BOX if smaller else Image.Resampling.NEAREST)
