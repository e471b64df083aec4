"""Pictures in rows and columns with their labels, as one picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_PAPER, _INK, _FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)
_GAP = 6
_LEAST, _MOST = 128, 512
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
    font, small = ImageFont.load_default(size=15), ImageFont.load_default(size=12)
    left = _GAP + round(max(font.getlength(row) for row in rows)) + _GAP
    line = 22
    below = 18 if captions else 0
    top = _GAP + 2 * line
    across = max(width, *(round(font.getlength(label)) for label in columns)) + _GAP
    down = height + below + _GAP
    wide = max(left + len(columns) * across, round(font.getlength(title)) + 2 * _GAP)
    sheet = Image.new("RGB", (wide, top + len(rows) * down), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), title, fill=_INK, font=font)
    for index, label in enumerate(columns):
        draw.text((left + index * across, _GAP + line), label, fill=_INK, font=font)
    for row, label in enumerate(rows):
        y = top + row * down
        draw.text((_GAP, y + height // 2 - 8), label, fill=_INK, font=font)
        for column, picture in enumerate(pictures[row]):
            x = left + column * across
            sheet.paste(_resized(picture, (width, height)), (x, y))
            if captions and captions[row][column]:
                draw.text((x, y + height + 1), captions[row][column], fill=_FAINT, font=small)
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
