"""What a comparison has made so far: one JSON object a line, so that an interrupt loses at most the last one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

NAME = "manifest.jsonl"


@dataclass(frozen=True)
class Entry:
    """One file: its key, its path below the folder with forward slashes, its hash, and what was found out about it."""

    key: str
    file: str
    sha256: str
    about: Mapping[str, Any]


class Manifest:
    """The log of one folder; later lines replace earlier ones of the same key."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / NAME
        self._entries: dict[str, Entry] = {}
        self._notes: list[Mapping[str, Any]] = []
        text = self._path.read_text(encoding="utf-8") if self._path.is_file() else ""
        for line in text.splitlines():
            self._take(line)
        if text and not text.endswith("\n"):
            self._write("")

    def _take(self, line: str) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            return  # The line that an interrupt cut short.
        if "note" in found:
            self._notes.append(found["note"])
        else:
            self._entries[found["key"]] = Entry(**found)

    def add(self, key: str, path: Path, about: Mapping[str, Any]) -> None:
        """Log the finished file `path`."""
        entry = Entry(key, path.relative_to(self._folder).as_posix(), _hash(path), about)
        self._write(json.dumps(asdict(entry), ensure_ascii=False))
        self._entries[key] = entry

    def note(self, **values: Any) -> None:
        """Log something that is no file, such as how many model calls were made."""
        self._write(json.dumps({"note": values}))
        self._notes.append(values)

    def notes(self, name: str) -> Iterator[Any]:
        """Every value that was noted under `name`, in order."""
        return (note[name] for note in self._notes if name in note)

    def matching(self, key: str) -> Entry | None:
        """The entry of `key`, if its file is there and is what was logged."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        path = self._folder / entry.file
        return entry if path.is_file() and _hash(path) == entry.sha256 else None

    def entry(self, key: str) -> Entry:
        """The entry of `key`, its file unseen. KeyError without one."""
        return self._entries[key]

    def _write(self, line: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
