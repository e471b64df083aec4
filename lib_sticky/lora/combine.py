"""Merging LoRAs with each other: exactly by joining their factors, or to a chosen rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from lib_sticky.merge.errors import MergeError, RecipeError
from lib_sticky.merge.methods.decompositions import orthonormal, svd

from .files import LoraFile, write_lora
from .forms import Module, needs_base, weight_change

Factors = tuple[torch.Tensor, torch.Tensor]
# What describes the base model, which all inputs must share; the rest of an input's metadata is about its training.
_SHARED = ("ss_base_model_version", "ss_sd_model_name", "ss_v2", "modelspec.architecture", "modelspec.prediction_type")


def combine(
    inputs: Sequence[tuple[Path, float]], target: Path, *, rank: int | None = None, overwrite: bool = False
) -> int:
    """Write the LoRA whose change is the sum of each input's change times its strength; returns the largest rank.

    Without `rank` the factors are joined: the result is exact and its rank is the sum of the ranks. With `rank` each
    module is the nearest of that rank. Raises MergeError for inputs of different base models and for forms that have
    no factors of their own (LoHa, LoKr, full) when no rank is given.
    """
    files = [(LoraFile(path), strength) for path, strength in inputs]
    try:
        _require_one_base([lora for lora, _ in files])
        names = dict.fromkeys(name for lora, _ in files for name in lora.names())
        tensors: dict[str, torch.Tensor] = {}
        largest = 0
        for name in names:
            parts = [(lora.module(name), strength, str(lora.reader.path)) for lora, strength in files if name in lora]
            up, down = _joined(parts, name) if rank is None else _reduced(parts, name, rank)
            tensors |= as_module(name, up, down)
            largest = max(largest, up.shape[1])
        write_lora(target, tensors, _metadata([lora for lora, _ in files], inputs, largest), overwrite=overwrite)
        return largest
    finally:
        for lora, _ in files:
            lora.close()


def as_module(name: str, up: torch.Tensor, down: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return a module's tensors in fp16; alpha equals the rank, so that the change is up·down itself."""
    return {
        f"{name}.lora_up.weight": up.half(),
        f"{name}.lora_down.weight": down.half(),
        f"{name}.alpha": torch.tensor(float(up.shape[1])).half(),
    }


def _joined(parts: Sequence[tuple[Module, float, str]], name: str) -> Factors:
    """Put the factors side by side; strength, alpha and rank of each go into its up factor."""
    ups: list[torch.Tensor] = []
    downs: list[torch.Tensor] = []
    for module, strength, path in parts:
        if set(module) - {"lora_up.weight", "lora_down.weight", "alpha"} or "lora_up.weight" not in module:
            raise RecipeError(f"{path}: {name} is not a plain LoRA, so it cannot be joined exactly; choose a rank")
        up, down = module["lora_up.weight"].float(), module["lora_down.weight"].float()
        ups.append(up * (strength * float(module.get("alpha", torch.tensor(down.shape[0]))) / down.shape[0]))
        downs.append(down)
    return torch.cat(ups, 1), torch.cat(downs, 0)


def _reduced(parts: Sequence[tuple[Module, float, str]], name: str, rank: int) -> Factors:
    """Return the nearest factors of a rank; plain LoRAs are never multiplied out, only their small core is."""
    try:
        up, down = _joined(parts, name)
    except RecipeError:
        return factors_of(_sum(parts, name), rank)
    left, right = orthonormal(up.flatten(1)), orthonormal(down.flatten(1).T)
    core = (left.T @ up.flatten(1)) @ (down.flatten(1) @ right)
    u, s, vh = svd(core)
    return balanced(left @ u[:, :rank], s[:rank], vh[:rank] @ right.T, (up.shape[0], *down.shape[1:]))


def factors_of(change: torch.Tensor, rank: int) -> Factors:
    """Return the up and down factors (of convolutions too) of the nearest change of a rank."""
    u, s, vh = svd(change.flatten(1))
    return balanced(u[:, :rank], s[:rank], vh[:rank], tuple(change.shape))


def balanced(u: torch.Tensor, s: torch.Tensor, vh: torch.Tensor, shape: tuple[int, ...]) -> Factors:
    """Return the factors of U·S·Vᵀ, a weight of `shape`, with the same length on both sides."""
    root = s.sqrt()
    up, down = u * root, root[:, None] * vh
    return up.view(-1, len(root), *[1] * (len(shape) - 2)), down.view(len(root), *shape[1:])


def _sum(parts: Sequence[tuple[Module, float, str]], name: str) -> torch.Tensor:
    total: torch.Tensor | None = None
    for module, strength, path in parts:
        if needs_base(module):
            raise MergeError(f"{path}: {name} is DoRA or OFT; bake it into a model and extract the difference")
        change = strength * weight_change(module, _shape(module, f"{path}: {name}"), None, f"{path}: {name}")
        total = change if total is None else total + change
    if total is None:
        raise MergeError(f"{name} is in no input")
    return total


def _shape(module: Module, name: str) -> tuple[int, ...]:
    """Return the shape of the weight that a module changes, read from its factors."""
    if "lora_up.weight" in module:
        down = module.get("lora_mid.weight", module["lora_down.weight"])
        return (module["lora_up.weight"].shape[0], module["lora_down.weight"].shape[1], *down.shape[2:])
    for key in ("diff", "w_norm"):
        if key in module:
            return tuple(module[key].shape)
    if "hada_t1" in module:
        return (module["hada_w1_a"].shape[1], module["hada_w1_b"].shape[1], *module["hada_t1"].shape[2:])
    if "hada_w1_a" in module:
        return (module["hada_w1_a"].shape[0], module["hada_w1_b"].shape[1])
    if "lokr_w2" in module:
        first = module["lokr_w1"] if "lokr_w1" in module else module["lokr_w1_a"] @ module["lokr_w1_b"]
        second = module["lokr_w2"]
        return (first.shape[0] * second.shape[0], first.shape[1] * second.shape[1], *second.shape[2:])
    raise MergeError(f"{name} does not tell the shape of its weight; bake it into a model and extract the difference")


def _require_one_base(files: Sequence[LoraFile]) -> None:
    bases = {lora.metadata.get("ss_base_model_version") for lora in files} - {None}
    if len(bases) > 1:
        raise MergeError(f"these LoRAs are for different base models: {', '.join(sorted(map(str, bases)))}")


def _metadata(files: Sequence[LoraFile], inputs: Sequence[tuple[Path, float]], rank: int) -> Mapping[str, str]:
    kept = {key: value for lora in reversed(files) for key, value in lora.metadata.items() if key in _SHARED}
    told = " + ".join(f"{strength:g} x {path.stem}" for path, strength in inputs)
    return {
        **kept,
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(float(rank)),
        "ss_training_comment": f"merged: {told}",
    }
