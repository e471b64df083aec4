"""A folder of training pictures: PNG files with a caption beside each, a manifest of every setting, a contact sheet.

The pictures lie in `pictures/1_CAPTION`, which kohya's trainer takes as it is; others want that folder itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lib_sticky.lab.png import save
from lib_sticky.merge.output_file import file_sha256
from lib_sticky.prompt.wrong import Recipe, Shot

MANIFEST = "manifest.json"
PICTURES = "pictures"
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
_VERSION = 1


class DatasetError(ValueError):
    """A folder of training pictures that cannot be used, in words that name it."""


@dataclass(frozen=True)
class Example:
    """One training picture and what it is to be called."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Row:
    """A picture in the manifest: its path below the folder, its hash, and how it was made."""

    index: int
    file: str
    sha256: str
    word: str
    cfg: float
    seed: int
    prompt: str
    infotext: str


class Dataset:
    """The folder of one set of wrong pictures, made with `settings`; it is written as pictures come in.

    Raises DatasetError where the folder holds pictures that were made with other settings.
    """

    def __init__(self, folder: Path, caption: str, settings: Mapping[str, Any]) -> None:
        self.folder, self.caption = folder, caption
        self._settings = json.loads(json.dumps(settings))
        self.rows: dict[int, Row] = {}
        path = folder / MANIFEST
        if path.is_file():
            self._take(path)

    @property
    def pictures(self) -> Path:
        """Where the pictures are."""
        return self.folder / PICTURES / f"1_{re.sub(r'[^a-z0-9]+', '-', self.caption.lower()).strip('-') or 'wrong'}"

    def has(self, index: int) -> bool:
        """Whether picture `index` is there as it was made."""
        row = self.rows.get(index)
        path = self.folder / row.file if row else None
        return row is not None and path is not None and path.is_file() and file_sha256(path) == row.sha256

    def missing(self, recipe: Recipe) -> Iterator[Shot]:
        """The pictures of `recipe` that are not there yet, or no longer as they were made."""
        return (shot for shot in recipe.shots() if not self.has(shot.index))

    def add(self, shot: Shot, picture: Image.Image, infotext: str) -> None:
        """Take in a finished picture: it is written with its caption beside it, and the manifest anew."""
        path = save(picture, self.pictures, f"{shot.index:04d}", infotext)
        path.with_suffix(".txt").write_text(self.caption + "\n", encoding="utf-8")
        file = path.relative_to(self.folder).as_posix()
        self.rows[shot.index] = Row(
            shot.index, file, file_sha256(path), shot.word, shot.cfg, shot.seed, shot.prompt, infotext
        )
        rows = [asdict(self.rows[number]) for number in sorted(self.rows)]
        told = {"version": _VERSION, "caption": self.caption, "settings": self._settings, "pictures": rows}
        replace_text(self.folder / MANIFEST, json.dumps(told, indent=2, ensure_ascii=False) + "\n")

    def _take(self, path: Path) -> None:
        settings, rows = _rows(path)
        wanted = {"caption": self.caption, **self._settings}
        other = [name for name in {**wanted, **settings} if wanted.get(name) != settings.get(name)]
        if other:
            raise DatasetError(
                f"{self.folder} holds pictures made with another {', '.join(sorted(other))}; name another folder"
            )
        self.rows = {row.index: row for row in rows}


def examples(folder: Path, caption: str = "") -> list[Example]:
    """The pictures that a folder's manifest lists, or without one those in it and below it, with their captions.

    A caption is the text file of the same name; without one, `caption`. Raises DatasetError without pictures, and where
    a picture has no caption at all.
    """
    found = [Example(path, _caption(path, caption)) for path in _listed(folder)]
    if not found:
        raise DatasetError(f"{folder} holds no pictures ({', '.join(ENDINGS)}); make some first")
    bare = [example.path for example in found if not example.caption]
    if bare:
        raise DatasetError(f"{bare[0]} has no caption; write {bare[0].stem}.txt beside it, or give --caption")
    return found


def _listed(folder: Path) -> list[Path]:
    if not (folder / MANIFEST).is_file():
        return [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in ENDINGS and path.is_file()]
    paths = [folder / row.file for row in _rows(folder / MANIFEST)[1]]
    lost = [path for path in paths if not path.is_file()]
    if lost:
        raise DatasetError(f"{lost[0]} is in {MANIFEST} and is not there; making them again makes the lost one")
    return paths


def _rows(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """The settings, the caption among them, and the pictures of a manifest."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {"caption": told["caption"], **told["settings"]}, [Row(**row) for row in told["pictures"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); name another folder, or move that file") from error


def _caption(path: Path, otherwise: str) -> str:
    text = path.with_suffix(".txt")
    return text.read_text(encoding="utf-8").strip() if text.is_file() else otherwise


def replace_text(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
