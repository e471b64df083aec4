"""sd-mecha's `.mecha` text: reading both generations with the meaning they had, and writing 0.1.0.

Facts from sd-mecha's history: `vote_sgn` and `apply_stock` changed their meaning in d61c178 (0.1.0); before 0.1.0 the
VAE was not merged but taken from the first model; `ties_sum` counted signs until f9af9e4 (2024-04-24).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .block_weights import BlockWeights
from .errors import RecipeError
from .recipe import Lora, Merge, Model, Node, Recipe, Value

VERSION = "0.1.0"
_TOKEN = re.compile(r'\s*(?:([A-Za-z_][\w:]*)=)?(?:"((?:[^"\\]|\\.)*)"|([^\s"=]+))(?=\s|$)')
_BLOCK = re.compile(r"BASE|IN\d\d|M00|OUT\d\d|VAE")
_WORDS = {"null": None, "true": True, "false": False}


@dataclass(frozen=True)
class _Ref:
    index: int


@dataclass(frozen=True)
class _Line:
    command: str
    args: tuple[Any, ...]
    named: Mapping[str, Any]


def read_mecha(text: str, unstated_vote: str = "count") -> Recipe:
    """Return the recipe in a `.mecha` text; raises RecipeError that names the line.

    A text that starts with `version 0.1.0` has the meaning of sd-mecha 1.x; without a version line, that of 0.0.x.
    `unstated_vote` is how an old `ties_sum` that says nothing votes: `count` as published TIES-SOUP recipes mean it;
    0.0.24 to 0.0.26 read the same text as `mass`.
    """
    lines = [line.strip() for line in text.splitlines()]
    old = not (lines and lines[0].startswith("version"))
    if not old and lines[0] != f"version {VERSION}":
        raise RecipeError(f"line 1: {lines[0]!r}; known are recipes without a version and version {VERSION}")
    made: list[Any] = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith(("#", "version")):
            continue
        try:
            made.append(_result(_parse(line), made, old=old, unstated_vote=unstated_vote))
        except (RecipeError, ValueError, TypeError, KeyError, IndexError) as error:
            raise RecipeError(f"line {number}: {error}\n    {line[:120]}") from error
    if not made or not isinstance(made[-1], (Model, Merge)):
        raise RecipeError("the last line of a .mecha recipe must make a model")
    return Recipe(made[-1], {"vae": _first(made[-1])} if old and isinstance(made[-1], Merge) else {})


def _first(node: Node) -> Node:
    while isinstance(node, Merge):
        node = node.inputs[0]
    return node


def _parse(line: str) -> _Line:
    found: list[tuple[str | None, Any]] = []
    at = 0
    while at < len(line):
        token = _TOKEN.match(line, at)
        if token is None:
            raise RecipeError(f"cannot read from {line[at : at + 20]!r} on; quotes may not match")
        name, quoted, bare = token.groups()
        found.append((name, _value(bare) if quoted is None else re.sub(r"\\(.)", r"\1", quoted)))
        at = token.end()
    (_, command), *rest = found
    return _Line(str(command), tuple(v for n, v in rest if n is None), {n: v for n, v in rest if n is not None})


def _value(word: str) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    if word.startswith("&"):
        return _Ref(int(word[1:]))
    try:
        return float(word) if any(mark in word.lower() for mark in ".en") else int(word)
    except ValueError:
        return word


def _result(line: _Line, made: Sequence[Any], *, old: bool, unstated_vote: str) -> Any:
    def follow(value: Any) -> Any:
        if isinstance(value, _Ref) and not 0 <= value.index < len(made):
            raise RecipeError(f"&{value.index} is used before it is defined")
        return made[value.index] if isinstance(value, _Ref) else value

    args, named = [follow(value) for value in line.args], {name: follow(v) for name, v in line.named.items()}
    if line.command == "dict":
        return named
    if line.command == "literal":
        return args[0]
    if line.command == "model":
        is_lora = "lora" in map(str, args[1:]) or "kohya" in str(named.get("model_config"))
        return Lora(_path(args[0])) if is_lora else Model(_path(args[0]))
    if line.command != "merge":
        raise RecipeError(f"unknown command {line.command!r}; known are dict, literal, model, merge")
    return _merge(str(args[0]), args[1:], named, old=old, unstated_vote=unstated_vote)


def _path(name: object) -> str:
    if not isinstance(name, str):
        raise RecipeError("a model needs a quoted path")
    return name if name.endswith(".safetensors") else f"{name}.safetensors"


def _merge(name: str, args: Sequence[Any], named: Mapping[str, Any], *, old: bool, unstated_vote: str) -> Merge:
    if name not in METHODS:
        raise RecipeError(f"sd-mecha's method {name!r} has no equal here; see docs/METHODS.md")
    method = METHODS[name]
    nodes = [value for value in args if isinstance(value, (Model, Lora, Merge))]
    params = dict(zip(method.order, args[len(nodes) :], strict=False)) | dict(named)
    nodes += [params.pop(slot) for slot in method.inputs if slot in params]
    if unknown := params.keys() - set(method.order):
        raise RecipeError(f"{name} has no parameter {sorted(unknown)[0]!r}")
    target, values = method.translate({key: _number(value) for key, value in params.items()}, old, unstated_vote)
    return Merge(target, tuple(nodes), values)


def _number(value: Any) -> Any:
    if isinstance(value, Mapping):
        if odd := [block for block in value if not _BLOCK.fullmatch(block)]:
            raise RecipeError(f"block {odd[0]!r} is not one of BASE, IN00..., M00, OUT00..., VAE")
        blocks = {block: float(number) for block, number in value.items()}
        base = blocks.get("BASE", 0.0)
        # sd-mecha counts the time and label embeddings to BASE; here they belong to IN00 unless named.
        return BlockWeights(base, {"TIME": base, "LABEL": base, **blocks})
    if value is not None and not isinstance(value, (bool, int, float)):
        raise RecipeError(f"{value!r} is not a number")
    return value


Translated = tuple[str, dict[str, Value]]


@dataclass(frozen=True)
class _Method:
    """An sd-mecha method: its inputs and parameters in order, and what it is here."""

    inputs: tuple[str, ...]
    order: tuple[str, ...]
    translate: Callable[[Mapping[str, Any], bool, str], Translated]


def _plain(target: str, keep: Sequence[str] = (), **defaults: Value) -> Callable[..., Translated]:
    def translate(params: Mapping[str, Any], _old: bool, _vote: str) -> Translated:
        return target, {**defaults, **{name: _as_float(params[name]) for name in keep if name in params}}

    return translate


def _as_float(value: Any) -> Value:
    return value if isinstance(value, BlockWeights) else float(value)


def _median(params: Mapping[str, Any], _old: bool, _vote: str) -> Translated:
    return "geometric_median", {"maxiter": int(params.get("maxiter", 100))}


def _ties(params: Mapping[str, Any], old: bool, unstated_vote: str) -> Translated:
    vote = _vote(params, old, unstated_vote)
    return "ties", {"density": float(params.get("k", 0.2 if old else 1.0)), "vote": vote}


def _vote(params: Mapping[str, Any], old: bool, unstated_vote: str) -> str:
    if "vote_sgn" not in params:
        return unstated_vote if old else "count"
    counted = params["vote_sgn"] > 0 if old else not params["vote_sgn"]
    return "count" if counted else "mass"


def _ties_extended(params: Mapping[str, Any], old: bool) -> Translated:
    median, stock = params.get("apply_median", 0), params.get("apply_stock", 0)
    stocked = not median and (stock > 0 if old else not stock)
    if stocked:
        raise RecipeError("this recipe scales TIES by Model Stock row by row, which is not done here")
    probability = float(params.get("probability", 0.0))
    rescale = float(params.get("rescale", 1.0))
    values: dict[str, Value] = {
        "probability": probability,
        "epsilon": float(params.get("della_eps", 0.0)),
        "density": float(params.get("k", 0.2)),
        "vote": _vote(params, old, "mass"),
        "seed": max(0, int(params.get("seed") or 0)),
        "rescale": rescale,
    }
    if median:
        return "dgmla", {**values, "maxiter": int(params.get("maxiter", 100))}
    return "della", values


def _dropped(params: Mapping[str, Any], old: bool, _unstated: str) -> Translated:
    return _ties_extended({"probability": 0.9, **params}, old)


def _undropped(params: Mapping[str, Any], old: bool, _unstated: str) -> Translated:
    return _ties_extended({**params, "rescale": 0.0}, old)


_MEDIAN = ("eps", "maxiter", "ftol")
_EXTENDED = ("k", "vote_sgn", "apply_stock", "apply_median", "cos_eps", *_MEDIAN)
METHODS: Mapping[str, _Method] = {
    "weighted_sum": _Method(("a", "b"), ("alpha",), _plain("weighted_sum", ("alpha",))),
    "n_average": _Method((), (), _plain("average")),
    "slerp": _Method(("a", "b"), ("alpha",), _plain("slerp", ("alpha",))),
    "add_difference": _Method(("a", "b"), ("alpha",), _plain("add", ("alpha",))),
    "subtract": _Method(("a", "b"), (), _plain("subtract")),
    "scale": _Method(("a",), ("alpha",), _plain("scale", ("alpha",))),
    "perpendicular_component": _Method(("a", "b"), (), _plain("perpendicular")),
    "geometric_median": _Method((), _MEDIAN, _median),
    "ties_sum": _Method((), ("k", "vote_sgn"), _ties),
    "ties_sum_extended": _Method((), _EXTENDED, _undropped),
    "ties_sum_with_dropout": _Method((), ("probability", "della_eps", "rescale", *_EXTENDED, "seed"), _dropped),
}
