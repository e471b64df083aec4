"""X/Y/Z plot axes that merge the job's checkpoint with another one while the grid is made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lib_sticky.api import merge_unsaved
from lib_sticky.config import ConfigError
from lib_sticky.hosts.checkpoints import UNSAVED, Checkpoints
from lib_sticky.hosts.job_checkpoint import JobCheckpoint
from lib_sticky.merge import Options, Recipe, compose, merge
from lib_sticky.webui.xyz import grid_without

PREFIX = "[Sticky merge] "
WITH, ALPHA = "With", "Alpha"
INFOTEXT_KEY = "Sticky merge"
KEPT = 2
"""Merged files that stay for the next cells; the grid visits costly axes in its outer loops, so two are enough."""

_FOLDER = "xyz"
_HALF = 0.5
_AXES, _VALUES = "sticky_merge_axes", "sticky_merge_values"
"""Attributes of the host's p: the axes of this grid (copied into every cell), and the values of one cell."""


def add_axes(scripts_data: list[Any], checkpoints: Checkpoints, job: JobCheckpoint) -> None:
    """Append the axes to the host's X/Y/Z plot script; does nothing without one, or when they are there already."""
    grid = grid_without(scripts_data, PREFIX)
    if grid is None:
        return
    for name, kind, choices in ((WITH, str, checkpoints.models), (ALPHA, float, None)):
        axis = grid.AxisOption(PREFIX + name, kind, _apply(name, checkpoints, job), cost=1.0, choices=choices)
        axis.confirm = _confirm(name, checkpoints)
        grid.axis_options.append(axis)


def _confirm(name: str, checkpoints: Checkpoints) -> Callable[[Any, list[Any]], None]:
    def confirm(p: Any, values: list[Any]) -> None:
        setattr(p, _AXES, getattr(p, _AXES, frozenset()) | {name})
        for value in values if name == WITH else ():
            if checkpoints.folders().find(value) is None:
                raise ConfigError(PREFIX + WITH, f"there is no checkpoint {value!r}")

    return confirm


def _apply(name: str, checkpoints: Checkpoints, job: JobCheckpoint) -> Callable[[Any, Any, Any], None]:
    def apply(p: Any, value: Any, _values: Any) -> None:
        axes = getattr(p, _AXES, frozenset())
        if WITH not in axes:
            raise ConfigError(PREFIX + name, f"choose the other checkpoint on a second axis, {PREFIX + WITH}")
        found = {**getattr(p, _VALUES, {}), name: value}
        setattr(p, _VALUES, found)
        if set(found) == axes:
            _merge_for(p, found[WITH], found.get(ALPHA, _HALF), checkpoints, job)

    return apply


def _merge_for(p: Any, other: str, alpha: float, checkpoints: Checkpoints, job: JobCheckpoint) -> None:
    first = job.chosen(p)
    recipe = compose("weighted_sum", [first, other], {"alpha": alpha})
    target = _target(recipe, [first, other], checkpoints)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        options = Options(overwrite=True, cancelled=job.interrupted)
        merge(recipe, target, checkpoints.folders(), options, hashes=checkpoints.hashes())
        merge_unsaved.copy_config(recipe, checkpoints, target)
    merge_unsaved.keep_only(target, KEPT)
    job.use(p, target)
    p.extra_generation_params = {**p.extra_generation_params, INFOTEXT_KEY: f"{first} with {other}, alpha {alpha:g}"}


def _target(recipe: Recipe, names: list[str], checkpoints: Checkpoints) -> Path:
    """Where the merge of a recipe over these very files is kept."""
    files = [checkpoints.folders().find(name) for name in names]
    stamps = [(path.stat().st_size, path.stat().st_mtime_ns) for path in files if path]
    key = hashlib.sha256(f"{recipe.digest} {stamps}".encode()).hexdigest()[:12]
    stem = "+".join(Path(name).stem for name in names)[:80]
    return checkpoints.folder() / UNSAVED / _FOLDER / f"{stem}-{key}.safetensors"
