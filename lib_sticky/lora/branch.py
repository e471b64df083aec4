"""What a LoRA adds to the output of one layer, computed beside the layer, whose own weight stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from lib_sticky.merge.errors import CheckpointError

from .factors import FACTORS, Factors, factors_of, like
from .forms import Module, bias_change, changes_weight, needs_base, scale_of, weight_change

Branch = Callable[[Tensor], Tensor]
"""From a layer's input to what is added to its output; layers are linear in their weight and bias, norms too."""


def branch_of(module: Module, layer: nn.Module, strength: float, name: str) -> Branch:
    """The branch of a LoRA's `module` on `layer` at `strength`.

    Plain LoRAs go through their factors. Other forms have none that are cheaper than a weight, so theirs is made: at
    once, or for DoRA and OFT, which depend on the layer's own weight, on the first call, when the host has prepared it.
    Raises CheckpointError that calls the module by `name` where it is damaged or does not fit.
    """
    _require_finite(module, name)
    weight: Any = layer.weight
    shape = tuple(weight.shape)
    bias = _bias(module, shape[:1], strength, name)
    if not changes_weight(module):
        return _Layer(layer, None, bias)
    if set(module) <= FACTORS:
        return factors_of(layer, module, strength * scale_of(module), bias, name)
    if not needs_base(module):
        return _Layer(layer, weight_change(module, shape, None, name) * strength, bias)
    weight_change(module, shape, weight.detach().float().cpu(), name)
    return _Late(layer, lambda own: weight_change(module, shape, own.detach().float().cpu(), name) * strength, bias)


Adding = Callable[[Tensor, Tensor, int, int], None]
"""Adds to rows of an output, in place: input, output, the first row, how many."""


def adding(branch: Branch) -> Adding:
    """What adds a branch of an input's rows to the same rows of an output."""
    if isinstance(branch, Factors):
        return branch.add

    def add(x: Tensor, output: Tensor, first: int, many: int) -> None:
        output.narrow(0, first, many).add_(branch(x.narrow(0, first, many)))

    return add


def _bias(module: Module, shape: tuple[int, ...], strength: float, name: str) -> Tensor | None:
    try:
        bias = bias_change(module, shape)
    except RuntimeError as error:
        raise CheckpointError(f"{name} does not fit a bias of shape {list(shape)}: {error}") from error
    return None if bias is None else bias * strength


def _require_finite(module: Module, name: str) -> None:
    for key, value in module.items():
        if not bool(torch.isfinite(value.float()).all()):
            raise CheckpointError(f"{name}: {key} holds values that are no numbers; the file is damaged")


class _Layer:
    """A layer's own operation with another weight and bias, which are kept as the input last wanted them."""

    def __init__(self, layer: Any, weight: Tensor | None, bias: Tensor | None) -> None:
        self._layer, self._weight, self._bias = layer, weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        self._weight, self._bias = like(self._weight, x), like(self._bias, x)
        if self._weight is None:
            return torch.zeros((), device=x.device, dtype=x.dtype) if self._bias is None else self._placed(self._bias)
        return _operate(self._layer, x, self._weight, self._bias)

    def _placed(self, bias: Tensor) -> Tensor:
        """A bias over the output's channels, which convolutions and group norms have on their second axis."""
        spatial = hasattr(self._layer, "kernel_size") or hasattr(self._layer, "num_groups")
        return bias[:, None, None] if spatial else bias


class _Late(_Layer):
    """A weight that is made from the layer's own on the first call."""

    def __init__(self, layer: Any, make: Callable[[Tensor], Tensor], bias: Tensor | None) -> None:
        super().__init__(layer, None, bias)
        self._make = make

    def __call__(self, x: Tensor) -> Tensor:
        if self._weight is None:
            self._weight = self._make(self._layer.weight)
        return super().__call__(x)


def _operate(layer: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if hasattr(layer, "num_groups"):
        return nnf.group_norm(x, layer.num_groups, weight, bias, layer.eps)
    if hasattr(layer, "normalized_shape"):
        return nnf.layer_norm(x, layer.normalized_shape, weight, bias, layer.eps)
    if weight.ndim == 2:
        return nnf.linear(x, weight, bias)
    return nnf.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)
