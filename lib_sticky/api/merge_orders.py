"""What is asked of the merge engine inside a host: a recipe and the name of a new file, never a path."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib_sticky.config import ConfigError
from lib_sticky.hosts.checkpoints import Checkpoints
from lib_sticky.merge import METHODS, MergeError, Options, Recipe, from_json, planned
from lib_sticky.merge.methods import Choice, MergeMethod, Parameter, Range

_FIELDS = {"recipe": None, "name": None, "keep": False, "overwrite": False}
_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
ENDING = ".safetensors"
NAME_LIMIT = 200


@dataclass(frozen=True)
class Order:
    """One merge to do. `keep` carries the first model's tensors where others do not fit.

    `unsaved` puts the file into the folder for merges that are loaded but not saved.
    """

    recipe: Recipe
    target: Path
    keep: bool = False
    overwrite: bool = False
    unsaved: bool = False
    device: str = Options.device


@dataclass(frozen=True)
class Facts:
    """What a merge will do, from headers alone. `text` says all of it; bytes and seconds are estimates."""

    text: str
    architecture: str
    tensors: int
    output_bytes: int
    read_bytes: int
    free_bytes: int
    memory_bytes: int
    seconds: float
    differences: Mapping[str, int]
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    refusals: tuple[str, ...]
    ready: bool


def read_order(body: Any, checkpoints: Checkpoints) -> Order:
    """Check a request's JSON; ConfigError names the bad field."""
    if not isinstance(body, dict):
        raise ConfigError("(whole body)", f"expected an object with {', '.join(_FIELDS)}")
    if unknown := sorted(set(body) - set(_FIELDS)):
        raise ConfigError(unknown[0], f"is not a field of a merge; known are {', '.join(_FIELDS)}")
    flags = {name: body.get(name, False) for name in ("keep", "overwrite")}
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ConfigError(name, f"{value!r} is not true or false")
    target = checkpoints.folder() / checked_name(body.get("name"))
    try:
        return Order(from_json(body.get("recipe")), target, **flags)
    except MergeError as error:
        raise ConfigError("recipe", str(error)) from error


def checked_name(name: Any) -> str:
    """Return a plain file name that ends in .safetensors; ConfigError for paths and for what no disk takes."""
    if not isinstance(name, str) or not name.strip():
        raise ConfigError("name", "say what the new file is called")
    name = name.strip()
    if name in (".", "..") or _FORBIDDEN.search(name):
        raise ConfigError("name", f'{name!r} must be a plain file name, without folders or any of < > : " | ? *')
    if name.startswith(".") or _RESERVED.fullmatch(name) or len(name.encode()) > NAME_LIMIT:
        raise ConfigError("name", f"{name!r} is hidden, reserved, or longer than {NAME_LIMIT} bytes; choose another")
    return name if name.endswith(ENDING) else name + ENDING


def facts_of(order: Order, checkpoints: Checkpoints) -> Facts:
    """Plan a merge; nothing is written. ConfigError where the recipe's files are missing or damaged."""
    workers = Options.workers
    try:
        with planned(order.recipe, order.target, checkpoints.folders(), keep=order.keep) as (plan, _):
            refusals = [*plan.refusals, *_taken(order)]
            return Facts(
                text=plan.describe(workers),
                architecture=plan.architecture.label,
                tensors=len(plan.tensors),
                output_bytes=plan.data_bytes,
                read_bytes=plan.read_bytes,
                free_bytes=shutil.disk_usage(order.target.parent).free,
                memory_bytes=plan.memory_bytes(workers),
                seconds=plan.seconds(),
                differences=dict(Counter(f"{item.model}: {item.what}" for item in plan.differences)),
                notes=plan.notes,
                problems=plan.problems,
                refusals=tuple(refusals),
                ready=not refusals and (order.keep or not plan.problems),
            )
    except MergeError as error:
        raise ConfigError("recipe", str(error)) from error


def _taken(order: Order) -> list[str]:
    if order.overwrite or not order.target.exists():
        return []
    return [f"{order.target.name} exists; choose another name, or allow it to be replaced"]


def require(order: Order, facts: Facts) -> None:
    """Raise ConfigError with every reason not to start."""
    if facts.refusals:
        raise ConfigError("name" if _taken(order) else "recipe", "; ".join(facts.refusals))
    if not facts.ready:
        told = "; ".join(facts.problems)
        raise ConfigError("recipe", f"{told}. Set keep to carry the first model's tensors where others do not fit")


def methods() -> list[dict[str, Any]]:
    """Every method with its formula, inputs and settings, as its signature says them."""
    return [_described(method) for method in METHODS.values()]


def _described(method: MergeMethod) -> dict[str, Any]:
    return {
        **{name: getattr(method, name) for name in ("name", "label", "kind", "formula", "source", "help", "gives")},
        "inputs": [asdict(item) for item in method.inputs],
        "parameters": [_setting(parameter) for parameter in method.parameters],
    }


def _setting(parameter: Parameter) -> dict[str, Any]:
    told = {"name": parameter.name, "label": parameter.label, "type": parameter.type.__name__}
    return {**told, "default": parameter.default, **_limits(parameter.control)}


def _limits(control: Range | Choice | None) -> dict[str, Any]:
    return {} if control is None else asdict(control)
