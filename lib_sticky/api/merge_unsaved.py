"""A merge that is loaded but not saved: a file in a folder of its own until it gets a name or gives way.

It is a file and not a state dict in memory, so that every host loads it in its own way, memory stays as low as for any
checkpoint, and what is saved later is the very file that was tried.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from lib_sticky.api.merge_orders import checked_name
from lib_sticky.config import ConfigError
from lib_sticky.hosts.checkpoints import UNSAVED, Checkpoints
from lib_sticky.merge import Recipe
from lib_sticky.merge.recipe import primary

_CONFIG = ".yaml"
"""WebUIs read a model's layout from a file of this ending beside it."""


def target_of(name: str, recipe: Recipe, checkpoints: Checkpoints) -> Path:
    """Where the unsaved merge of a recipe goes; another recipe gets another name, as hosts reload only new names."""
    return checkpoints.folder() / UNSAVED / f"{Path(name).stem}-{recipe.digest[:8]}.safetensors"


def current(checkpoints: Checkpoints) -> Path | None:
    """The merge that can be saved now, the newest first."""
    found = sorted((checkpoints.folder() / UNSAVED).glob("*.safetensors"), key=os.path.getmtime)
    return found[-1] if found else None


def save(name: str, checkpoints: Checkpoints) -> Path:
    """Give the current unsaved merge a name among the checkpoints and load it from there."""
    tried, target = current(checkpoints), checkpoints.folder() / checked_name(name)
    if tried is None:
        raise ConfigError("name", "no merge is loaded without being saved; use 'Load without saving' first")
    if target.exists():
        raise ConfigError("name", f"{target.name} exists; choose another name")
    sha256 = checkpoints.hashes().get(tried)
    try:
        os.rename(tried, target)
    except OSError as error:
        raise ConfigError(
            "name", f"{tried.name} cannot be renamed ({error.strerror}); is another program using it?"
        ) from error
    with contextlib.suppress(FileNotFoundError):
        os.rename(tried.with_suffix(_CONFIG), target.with_suffix(_CONFIG))
    if sha256:
        checkpoints.hashes().put(target, sha256)
    checkpoints.load(target)
    return target


def keep_only(path: Path, count: int = 1) -> None:
    """Remove the unsaved merges beside `path`, except for the newest, so that `count` are left with it."""
    others = sorted((other for other in path.parent.glob("*.safetensors") if other != path), key=os.path.getmtime)
    for other in others[: max(0, len(others) - count + 1)]:
        remove(other)


def clear(checkpoints: Checkpoints) -> None:
    """Remove all unsaved merges, as when the WebUI starts."""
    for path in (checkpoints.folder() / UNSAVED).rglob("*.safetensors"):
        remove(path)


def remove(path: Path) -> None:
    for each in (path, path.with_suffix(_CONFIG)):
        with contextlib.suppress(OSError):
            each.unlink()


def copy_config(recipe: Recipe, checkpoints: Checkpoints, target: Path) -> None:
    """Give the output the first model's layout file, if it has one, as the WebUI's own merger does."""
    first = checkpoints.folders().find(primary(recipe.root).name)
    config = first and first.with_suffix(_CONFIG)
    if config and config.is_file() and not target.with_suffix(_CONFIG).exists():
        shutil.copyfile(config, target.with_suffix(_CONFIG))
