"""The same seeds without and with Sticky, in one labelled picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from lib_sticky.lab.fonts import write

_PAPER = (255, 255, 255)
_INK = (30, 30, 30)
_GAP = 8
_LEAST_WIDTH = 256
"""Narrower pictures are enlarged without smoothing, so that their label fits and their pixels can be seen."""


def side_by_side(columns: Sequence[tuple[str, Sequence[Image.Image]]]) -> Image.Image:
    """One row a seed, one column a (label, pictures) pair; all pictures are of one size."""
    first = columns[0][1][0]
    scale = -(-_LEAST_WIDTH // first.width)
    width, height = first.width * scale, first.height * scale
    top = 16 + 2 * _GAP
    rows = len(columns[0][1])
    sheet = Image.new("RGB", (len(columns) * (width + _GAP) + _GAP, top + rows * (height + _GAP)), _PAPER)
    for column, (label, pictures) in enumerate(columns):
        left = _GAP + column * (width + _GAP)
        write(sheet, (left, _GAP), label, 16, _INK)
        for row, picture in enumerate(pictures):
            enlarged = picture.resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (left, top + row * (height + _GAP)))
    return sheet
