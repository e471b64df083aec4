"""The sha256 of files that a WebUI remembers."""

from __future__ import annotations

import os
from pathlib import Path


class WebUIHashes:
    """The WebUI's own cache.json, under the titles that it uses for checkpoints."""

    def __init__(self, folders: list[Path]) -> None:
        self._folders = folders

    def get(self, path: Path) -> str | None:
        from modules import hashes

        return hashes.sha256_from_cache(str(path), self._key(path))

    def put(self, path: Path, sha256: str) -> None:
        from modules import hashes

        hashes.cache("hashes")[self._key(path)] = {"mtime": os.path.getmtime(path), "sha256": sha256}
        hashes.dump_cache()

    def _key(self, path: Path) -> str:
        for folder in self._folders:
            if path.is_relative_to(folder):
                return f"checkpoint/{path.relative_to(folder)}"
        return f"sticky/{path}"
