"""sha256 of files, remembered by path, size and time of change, so that no file is hashed twice."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from .output_file import file_sha256


class HashCache(Protocol):
    """Where hashes are remembered: a file of ours, or the host's own cache behind these two functions."""

    def get(self, path: Path) -> str | None: ...
    def put(self, path: Path, sha256: str) -> None: ...


class FileHashCache:
    """A JSON file of hashes, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _load(self) -> MutableMapping[str, list[object]]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def get(self, path: Path) -> str | None:
        row = self._load().get(str(path.resolve()))
        known = isinstance(row, list) and len(row) == 3 and row[:2] == _stamp(path)
        return str(row[2]) if known and row else None

    def put(self, path: Path, sha256: str) -> None:
        rows = self._load()
        rows[str(path.resolve())] = [*_stamp(path), sha256]
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):  # What cannot be remembered is computed again.
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                fresh.write_text(json.dumps(rows), encoding="utf-8")
                os.replace(fresh, self._path)
            finally:
                fresh.unlink(missing_ok=True)


def _stamp(path: Path) -> list[object]:
    info = path.stat()
    return [info.st_size, info.st_mtime_ns]


def default_cache() -> FileHashCache:
    """Return the cache of the command line, in the user's own cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return FileHashCache(Path(base) / "sd-webui-sticky" / "sha256.json")


def hash_files(
    paths: list[Path], cache: HashCache, workers: int, tell: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[Path, str]]:
    """Yield each path with its sha256, from the cache where it is known; the rest are read, several at once.

    `tell` gets in words how much is to be read, if anything is.
    """
    with ThreadPoolExecutor(workers) as pool:
        fresh = {path: pool.submit(file_sha256, path) for path in paths if cache.get(path) is None}
        if fresh:
            size = sum(path.stat().st_size for path in fresh)
            tell(f"first the sha256 of {size / 1e9:.2f} GB in {len(fresh)} files that are new here; it is kept")
        for path in paths:
            if path in fresh:
                cache.put(path, fresh[path].result())
                yield path, fresh[path].result()
            else:
                yield path, cache.get(path) or file_sha256(path)
