"""From the values of the merge tab's components, by name, to the order that the engine gets."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from lib_sticky.api.merge_orders import NAME_LIMIT, Order, checked_name
from lib_sticky.api.merge_unsaved import target_of
from lib_sticky.config import ConfigError
from lib_sticky.hosts.checkpoints import Checkpoints
from lib_sticky.merge import METHODS, MergeError, Model, Recipe, compose, from_json
from lib_sticky.merge.architectures import GENERIC, Architecture, detect
from lib_sticky.merge.block_weights import BlockWeights
from lib_sticky.merge.checkpoint_io import CheckpointReader
from lib_sticky.merge.dtypes import USER_DTYPE
from lib_sticky.merge.mecha import read_mecha
from lib_sticky.merge.methods import MergeMethod, Parameter
from lib_sticky.merge.recipe import Value, primary
from lib_sticky.webui.merge_presets import NAMES

Form = Mapping[str, Any]
NONE = "None"
MERGED, FIRST = "merged", "the first model's"
AS_INPUT, AS_ALL = "as the first model", "as for all"
PARTS = {"unet": "UNet", "text": "Text encoders", "vae": "VAE"}
FORMATS = tuple(USER_DTYPE)


def offered() -> dict[str, MergeMethod]:
    """The methods that make a model out of models or of their changes from a base, by label."""
    return {method.label: method for method in METHODS.values() if _is_whole(method)}


def _is_whole(method: MergeMethod) -> bool:
    spaces = {item.space for item in method.inputs}
    return len(spaces) == 1 and not (spaces == {"weight"} and method.gives == "delta")


def takes_base(method: MergeMethod) -> bool:
    return method.inputs[0].space != "weight"


def block_settings(method: MergeMethod) -> list[str]:
    """The settings that may differ by block."""
    return [parameter.name for parameter in method.parameters if parameter.type is float]


def setting(method: MergeMethod, parameter: Parameter) -> str:
    """The name of a method's setting among the form's values."""
    return f"{method.name}_{parameter.name}"


def order_of(form: Form, checkpoints: Checkpoints, *, unsaved: bool = False) -> Order:
    """Read the form; ConfigError names the field by its label."""
    recipe = recipe_of(form, checkpoints)
    name = checked_name(form["name"] or _suggested(recipe, form))
    target = target_of(name, recipe, checkpoints) if unsaved else checkpoints.folder() / name
    keep, overwrite = bool(form["keep"]), bool(form["overwrite"]) or unsaved
    return Order(recipe, target, keep, overwrite, unsaved, form["device"])


def recipe_of(form: Form, checkpoints: Checkpoints) -> Recipe:
    """The recipe that the settings make, or the one in the recipe box where the user asks for it."""
    try:
        return pasted(form["recipe"]) if form["use_recipe"] else _composed(form, checkpoints)
    except MergeError as error:
        raise ConfigError("Recipe" if form["use_recipe"] else "Models", str(error)) from error


def pasted(text: str) -> Recipe:
    """The recipe in a text, JSON or .mecha; ConfigError or MergeError where it holds none."""
    if not text.strip():
        raise ConfigError("Recipe", "is empty; paste one, or take one from the history")
    if not text.lstrip().startswith("{"):
        return read_mecha(text)
    try:
        return from_json(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ConfigError("Recipe", f"is not JSON ({error})") from error


def recipe_text(recipe: Recipe) -> str:
    return json.dumps(recipe.to_json(), indent=1, ensure_ascii=False)


def _composed(form: Form, checkpoints: Checkpoints) -> Recipe:
    method = offered()[form["method"]]
    models = list(form["models"] or ())
    if not models:
        raise ConfigError("Models", "pick the checkpoints to merge")
    base = form["base"] if takes_base(method) and form["base"] not in (None, "", NONE) else None
    if base is None and method.inputs[0].space == "delta":
        raise ConfigError("Base model", f"{method.label} works on changes: pick the model that they start from")
    recipe = compose(
        method.name,
        models,
        _params(form, method),
        base=base,
        strength=float(form["strength"]),
        loras=_loras(form["loras"] or (), form["lora_strengths"] or ""),
        omit=[line.strip() for line in (form["omit"] or "").splitlines() if line.strip()],
    )
    return _with_parts(recipe, form, checkpoints)


def _params(form: Form, method: MergeMethod) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for parameter in method.parameters:
        given = form[setting(method, parameter)]
        if given is None:
            raise ConfigError(parameter.label, "is empty; enter a number")
        values[parameter.name] = parameter.type(given)
    rules = [line.strip() for line in (form["rules"] or "").splitlines() if line.strip()]
    if not form["use_blocks"] and not rules:
        return values
    chosen = form["blocks_for"]
    if chosen not in block_settings(method):
        known = ", ".join(block_settings(method)) or "none"
        raise ConfigError("Setting by block", f"{method.label} has no number {chosen!r}; known: {known}")
    blocks = {name: float(form[f"block_{name}"]) for name in NAMES} if form["use_blocks"] else {}
    base = blocks.get("BASE", values[chosen])
    values[chosen] = BlockWeights.from_json({"base": base, "blocks": blocks, "rules": rules})
    return values


def _loras(names: Sequence[str], strengths: str) -> list[tuple[str, float]]:
    try:
        numbers = [float(part) for part in strengths.replace(",", " ").split()] or [1.0]
    except ValueError as error:
        raise ConfigError("LoRA strengths", f"{error}; write numbers, as 1, 0.6") from error
    if len(numbers) not in (1, len(names)) and names:
        raise ConfigError("LoRA strengths", f"there are {len(numbers)} for {len(names)} LoRAs; give one, or one each")
    return list(zip(names, numbers * len(names) if len(numbers) == 1 else numbers, strict=False))


def _with_parts(recipe: Recipe, form: Form, checkpoints: Checkpoints) -> Recipe:
    """Add where whole parts come from, and their number formats."""
    sources = {part: form[f"{part}_from"] for part in PARTS if form[f"{part}_from"] != MERGED}
    formats = {part: form[f"{part}_format"] for part in PARTS if form[f"{part}_format"] != AS_ALL}
    dtype = {} if form["format"] == AS_INPUT else {"*": form["format"]}
    if not sources and not formats:
        return dataclasses.replace(recipe, dtype=dtype)
    first = primary(recipe.root)
    architecture = _architecture(first, checkpoints)
    parts = {}
    for part, source in sources.items():
        node = first if source == FIRST else Model(source)
        parts.update(dict.fromkeys(_components(part, architecture), node))
    for part, chosen in formats.items():
        dtype.update(dict.fromkeys(_components(part, architecture), chosen))
    return dataclasses.replace(recipe, parts=parts, dtype=dtype)


def _components(part: str, architecture: Architecture) -> list[str]:
    found = list(architecture.components)
    named = [name for name in found if name == part or (part == "text" and name not in ("unet", "vae"))]
    if not named:
        raise ConfigError(PARTS[part], f"{architecture.label}: its parts cannot be told apart; leave this at 'merged'")
    return named


def _architecture(model: Model, checkpoints: Checkpoints) -> Architecture:
    path = checkpoints.folders().find(model.name)
    if path is None:
        return GENERIC
    reader = CheckpointReader(path)
    reader.close()
    return detect(reader.header.tensors)


def _suggested(recipe: Recipe, form: Form) -> str:
    if form["use_recipe"]:
        return f"merge-{recipe.digest[:8]}"
    stems = [PurePosixPath(name).stem for name in form["models"]]
    shown = stems if len(stems) <= 3 else [stems[0], f"{len(stems) - 1}-more"]
    return f"{'+'.join(shown)[: NAME_LIMIT // 2]}-{offered()[form['method']].name}-{recipe.digest[:6]}"
