"""The change that a LoRA or LyCORIS module makes to a weight, in full."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from lib_sticky.merge.errors import CheckpointError

Module = Mapping[str, torch.Tensor]
_KNOWN = "LoRA, LoCon, LoHa, LoKr, DoRA, OFT, full diff and norm"


def needs_base(module: Module) -> bool:
    """Say whether the change depends on the weight that it is made to."""
    return "dora_scale" in module or "oft_blocks" in module


def weight_change(module: Module, shape: tuple[int, ...], base: torch.Tensor | None, name: str) -> torch.Tensor:
    """Return the change of a weight of `shape` in float32, strength 1.

    `base` is the weight itself and is needed by DoRA and OFT only. Raises CheckpointError that names the module.
    """
    module = {key: value.float() for key, value in module.items()}
    if needs_base(module) and base is None:
        raise CheckpointError(f"{name} is DoRA or OFT: its change depends on the model, so it must be added to one")
    try:
        if "oft_blocks" in module and base is not None:
            return _oft(module, base.reshape(shape))
        change = _product(module, shape, name) * scale_of(module)
        change = change.reshape(shape)
    except RuntimeError as error:
        raise CheckpointError(f"{name} does not fit a weight of shape {list(shape)}: {error}") from error
    if "dora_scale" in module and base is not None:
        return _dora(change, base.reshape(shape), module["dora_scale"])
    return change


def bias_change(module: Module, shape: tuple[int, ...]) -> torch.Tensor | None:
    """Return the change of a bias, or None when the module has none."""
    for key in ("diff_b", "b_norm"):
        if key in module:
            return module[key].float().reshape(shape)
    return None


def changes_weight(module: Module) -> bool:
    return not set(module) <= {"alpha", "diff_b", "b_norm"}


def rank_of(module: Module) -> int:
    """Return the rank that alpha is divided by; 0 for forms that have none."""
    for key in ("lora_down.weight", "hada_w1_b", "lokr_w2_b", "lokr_w1_b", "lokr_t2"):
        if key in module:
            return module[key].shape[0]
    return 0


def scale_of(module: Module) -> float:
    rank = rank_of(module)
    return float(module["alpha"]) / rank if rank and "alpha" in module else 1.0


def _product(module: Module, shape: tuple[int, ...], name: str) -> torch.Tensor:
    if "lora_up.weight" in module and "lora_down.weight" in module:
        return _lora(module["lora_up.weight"], module["lora_down.weight"], module.get("lora_mid.weight"))
    if "hada_w1_a" in module:
        first, second = (_loha(module, number) for number in "12")
        return first * second
    if "lokr_w1" in module or "lokr_w1_a" in module:
        return _lokr(module, shape)
    for key in ("diff", "w_norm"):
        if key in module:
            return module[key]
    raise CheckpointError(f"{name} holds {', '.join(sorted(module))}; known forms are {_KNOWN}")


def _lora(up: torch.Tensor, down: torch.Tensor, mid: torch.Tensor | None) -> torch.Tensor:
    if mid is not None:
        return torch.einsum("or,rskl,si->oikl", up.flatten(1), mid, down.flatten(1))
    return (up.flatten(1) @ down.flatten(1)).view(up.shape[0], *down.shape[1:])


def _loha(module: Module, number: str) -> torch.Tensor:
    a, b = module[f"hada_w{number}_a"], module[f"hada_w{number}_b"]
    if f"hada_t{number}" in module:
        return torch.einsum("rskl,so,ri->iokl", module[f"hada_t{number}"], b, a)
    return a @ b


def _lokr(module: Module, shape: tuple[int, ...]) -> torch.Tensor:
    first = module["lokr_w1"] if "lokr_w1" in module else module["lokr_w1_a"] @ module["lokr_w1_b"]
    if "lokr_w2" in module:
        second = module["lokr_w2"]
    elif "lokr_t2" in module:
        second = torch.einsum("rskl,so,ri->iokl", module["lokr_t2"], module["lokr_w2_b"], module["lokr_w2_a"])
    else:
        second = module["lokr_w2_a"] @ module["lokr_w2_b"]
    first = first.view(*first.shape, *[1] * (second.ndim - first.ndim))
    whole = torch.kron(first, second.contiguous())
    return whole.view(shape) if whole.numel() == math.prod(shape) else whole


def _dora(change: torch.Tensor, base: torch.Tensor, magnitude: torch.Tensor) -> torch.Tensor:
    """Give every slice the stored length; the axes that `magnitude` does not have are those of a slice.

    Source: Liu et al., DoRA, arXiv 2402.09353.
    """
    magnitude = magnitude.view(*magnitude.shape, *[1] * (base.ndim - magnitude.ndim))
    turned = base + change
    axes = [axis for axis, size in enumerate(magnitude.shape) if size == 1]
    length = turned.square().sum(dim=axes, keepdim=True).sqrt().clamp(min=torch.finfo(torch.float32).tiny)
    return turned / length * magnitude - base


def _oft(module: Module, base: torch.Tensor) -> torch.Tensor:
    """Rotate blocks of output rows by the Cayley transform of skew matrices.

    Source: Qiu et al., OFT, arXiv 2306.07280; the constraint is alpha times the number of outputs, as in kohya's.
    """
    blocks = module["oft_blocks"]
    if blocks.ndim != 3:
        raise CheckpointError("an OFT module with butterfly factors (BOFT) is not supported")
    skew = blocks - blocks.transpose(1, 2)
    limit = float(module["alpha"]) * base.shape[0] if "alpha" in module else 0.0
    norm = skew.norm()
    if 0 < limit < float(norm):
        skew = skew * (limit / norm)
    identity = torch.eye(blocks.shape[1])
    turn = torch.linalg.solve(identity - skew, identity + skew, left=False)
    rows = base.reshape(blocks.shape[0], blocks.shape[1], -1)
    return torch.einsum("knm,knp->kmp", turn, rows).reshape(base.shape) - base
