"""The job in whose place a comparison was made: it makes no picture and shows the grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lib_sticky.lab.png import CHUNK

ATTRIBUTE = "sticky_compared"


@dataclass(frozen=True)
class _Compared:
    words: str
    grids: tuple[Path, ...]


def leave(p: Any, words: str, grids: Sequence[Path]) -> None:
    """Note on `p` what to show in its place."""
    setattr(p, ATTRIBUTE, _Compared(words, tuple(grids)))


def replaced(p: Any) -> bool:
    """Whether a comparison took the job's place; then the host's own loop is left empty."""
    if not hasattr(p, ATTRIBUTE):
        return False
    p.n_iter = 0
    p.do_not_save_grid = True
    return True


def show(p: Any, processed: Any) -> None:
    """The grids, each with its infotext, and in the comments where the report is."""
    compared: _Compared | None = getattr(p, ATTRIBUTE, None)
    if compared is None:
        return
    pictures = [_opened(path) for path in compared.grids]
    processed.images = pictures
    if pictures:
        processed.infotexts = [str(picture.info.get(CHUNK, "")) for picture in pictures]
        processed.info = processed.infotexts[0]
    processed.index_of_first_image = 0
    processed.comments += f"Sticky comparison, {compared.words}\n"


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
        return picture
