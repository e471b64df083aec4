"""What was merged before, read back from the files themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from lib_sticky.hosts.checkpoints import Checkpoints
from lib_sticky.merge import MergeError, Recipe, from_json
from lib_sticky.merge.checkpoint_io import CheckpointReader

_STAMPS = ("type", "version", "hash")
"""What the stored form has beside the recipe."""


@dataclass(frozen=True)
class Merged:
    """A checkpoint that holds its recipe; `when` is its time of change in seconds."""

    name: str
    when: float
    recipe: Recipe


def history(checkpoints: Checkpoints) -> list[Merged]:
    """Every checkpoint of the host that this tool merged, the newest first; files that cannot be read are left out."""
    return sorted(_found(checkpoints), key=lambda merged: -merged.when)


def _found(checkpoints: Checkpoints) -> Iterator[Merged]:
    folders = checkpoints.folders()
    for name in checkpoints.models():
        try:
            path = folders.find(name)
            recipe = path and stored_recipe(_metadata(path))
            if path and recipe:
                yield Merged(name, path.stat().st_mtime, recipe)
        except (MergeError, OSError):
            continue


def _metadata(path: object) -> str:
    reader = CheckpointReader(str(path))
    reader.close()
    return reader.header.metadata.get("sd_merge_recipe", "")


def stored_recipe(text: str) -> Recipe | None:
    """The recipe in `sd_merge_recipe`; None where another tool wrote it or there is none."""
    try:
        told = json.loads(text) if text else None
    except (json.JSONDecodeError, RecursionError):
        return None
    if not isinstance(told, dict) or told.get("type") != "sticky":
        return None
    return from_json({key: value for key, value in told.items() if key not in _STAMPS})
