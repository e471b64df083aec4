"""The command line: `python -m lib_sticky.merge A.safetensors B.safetensors -o out.safetensors`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .block_weights import BlockWeights, from_numbers, parse_rule
from .compose import compose
from .dtypes import USER_DTYPE
from .errors import MergeError, RecipeError
from .execute import Options
from .hash_cache import default_cache
from .mecha import read_mecha
from .methods import METHODS, MergeMethod, Parameter
from .recipe import Recipe, Value
from .recipe_json import from_json
from .run import merge, planned
from .shards import join
from .sources import Folders


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 refused or failed, 2 wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _join(words[1:]) if words[:1] == ["join"] else _merge(words)
    except MergeError as error:
        print(f"merge: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("merge: cancelled; nothing was left behind", file=sys.stderr)
    return 1


def _join(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="merge join", description="Put the shards of a merge together.")
    parser.add_argument("output", type=Path, help="the name that the shards were made for")
    parser.add_argument("count", type=int, help="how many shards there are")
    parser.add_argument("--overwrite", action="store_true")
    chosen = parser.parse_args(words)
    join(chosen.output, chosen.count, overwrite=chosen.overwrite)
    print(chosen.output)
    return 0


def _merge(words: list[str]) -> int:
    chosen = _parser().parse_args(words)
    if chosen.methods:
        print("\n".join(map(_in_words, METHODS.values())))
        return 0
    if chosen.output is None:
        raise RecipeError("say where the result goes: -o out.safetensors")
    recipe, folders = _recipe(chosen), Folders(chosen.models)
    if chosen.plan:
        with planned(recipe, chosen.output, folders, keep=chosen.keep) as (plan, _):
            print(plan.describe(chosen.workers))
            plan.require()
        return 0
    options = Options(
        workers=chosen.workers,
        device=chosen.device,
        overwrite=chosen.overwrite,
        hash_output=not chosen.no_hash,
        progress=None if chosen.quiet else _progress,
    )
    hashes = None if chosen.no_hash else default_cache()
    tell = (lambda _: None) if chosen.quiet else print
    report = merge(
        recipe, chosen.output, folders, options, keep=chosen.keep, shard=_shard(chosen.shard), hashes=hashes, tell=tell
    )
    print(f"\n{report.path}: {report.bytes / 1e9:.2f} GB in {report.seconds:.2f} s")
    for name, distance in report.distances.items():
        print(f"  distance to {name}: {distance:.3g}")
    if report.sha256:
        print(f"  sha256 {report.sha256}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="merge", description="Merge checkpoints; the default is the 50% rule.")
    add = parser.add_argument
    add("inputs", nargs="*", metavar="MODEL", help="checkpoints to merge; the first gives the output its keys")
    add("-o", "--output", type=Path, help="the file to write, ending in .safetensors")
    add("--method", default="weighted_sum", help="see --methods")
    add("--methods", action="store_true", help="list the methods with their formulas and settings")
    add("-p", "--param", action="append", default=[], metavar="NAME=VALUE", help="a number, a word, or block numbers")
    add("--rule", action="append", default=[], metavar="NAME=BLOCKS:ELEMENT:VALUE", help="as alpha=IN00-IN05:attn1:0.3")
    add("--base", help="the model that methods on changes start from")
    add("--strength", type=float, default=1.0, help="how much of the merged change is added to the base")
    add("--lora", action="append", default=[], metavar="FILE[=STRENGTH]", help="bake a LoRA in")
    add("--vae", help="take the VAE from this file")
    add("--dtype", action="append", default=[], metavar="[PART=]FORMAT", help=", ".join(USER_DTYPE))
    add("--omit", action="append", default=[], metavar="REGEX", help="leave keys out")
    add("--recipe", type=Path, help="a recipe in .json or .mecha instead of models and a method")
    add("--models", action="append", default=[], metavar="FOLDER", help="look names up in these folders only")
    add("--keep", action="store_true", help="carry the first model's tensors where others do not fit")
    add("--plan", action="store_true", help="say what would be done and stop")
    add("--shard", default="1/1", metavar="I/N", help="make the I-th of N files; then: merge join")
    add("--workers", type=int, default=Options.workers)
    add("--device", default="cpu", help="where methods on whole tensors compute, as cuda")
    add("--overwrite", action="store_true", help="replace the output if it exists")
    add("--no-hash", action="store_true", help="do not compute sha256 of inputs and output")
    add("--quiet", action="store_true")
    return parser


def _recipe(chosen: argparse.Namespace) -> Recipe:
    if chosen.recipe is not None:
        return read_recipe(chosen.recipe)
    if chosen.method not in METHODS:
        raise RecipeError(f"there is no method {chosen.method!r}; known are {', '.join(METHODS)}")
    return compose(
        chosen.method,
        chosen.inputs,
        _params(METHODS[chosen.method], chosen.param, chosen.rule),
        base=chosen.base,
        strength=chosen.strength,
        loras=[_lora(text) for text in chosen.lora],
        vae=chosen.vae,
        dtype={part or "*": code for part, _, code in (text.rpartition("=") for text in chosen.dtype)},
        omit=chosen.omit,
    )


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file: JSON of this tool, or sd-mecha's text by its ending."""
    try:
        text = path.read_text(encoding="utf-8")
        return read_mecha(text) if path.suffix == ".mecha" else from_json(json.loads(text))
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path} is not a recipe: {error}") from error


def _params(method: MergeMethod, given: Sequence[str], rules: Sequence[str]) -> Mapping[str, Value]:
    known = {parameter.name: parameter for parameter in method.parameters}
    values: dict[str, Value] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in known:
            raise RecipeError(f"{method.name} has no parameter {name!r}; known are {', '.join(known) or 'none'}")
        values[name] = _value(known[name], value)
    for text in rules:
        name, _, rule = text.partition("=")
        if name not in known:
            raise RecipeError(f"{method.name} has no parameter {name!r} for the rule {rule!r}")
        start = values.get(name, known[name].default)
        weights = start if isinstance(start, BlockWeights) else BlockWeights(float(start), {})
        values[name] = BlockWeights(weights.base, weights.blocks, (*weights.rules, parse_rule(rule)))
    return values


def _value(parameter: Parameter, text: str) -> Value:
    try:
        if "," in text:
            return from_numbers([float(number) for number in text.split(",")])
        if parameter.type is bool:
            return {"true": True, "false": False}[text.lower()]
        return parameter.type(text)
    except (KeyError, ValueError) as error:
        raise RecipeError(f"{parameter.name}={text!r} is not a {parameter.type.__name__}") from error


def _lora(text: str) -> tuple[str, float]:
    name, _, strength = text.rpartition("=")
    try:
        return (name, float(strength)) if name else (text, 1.0)
    except ValueError as error:
        raise RecipeError(f"--lora {text!r}: write FILE or FILE=STRENGTH") from error


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit()):
        raise RecipeError(f"--shard {text!r}: write it as 1/4")
    return int(index), int(count)


def _in_words(method: MergeMethod) -> str:
    settings = ", ".join(f"{parameter.name}={parameter.default}" for parameter in method.parameters)
    inputs = " ".join(item.name + ("..." if item.many else "") for item in method.inputs)
    return f"{method.name:22} {method.label}: {method.formula}\n{'':22} on {inputs}; {settings or 'no settings'}"


def _progress(done: int, total: int, left: float) -> None:
    print(f"\r{done / 1e9:7.2f} of {total / 1e9:.2f} GB, {left:5.0f} s left ", end="", file=sys.stderr, flush=True)
