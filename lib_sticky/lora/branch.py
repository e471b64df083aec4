"""What a LoRA adds to the output of one layer, computed beside the layer, whose own weight stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from lib_sticky.merge.errors import CheckpointError

from .forms import Module, bias_change, changes_weight, needs_base, scale_of, weight_change

Branch = Callable[[Tensor], Tensor]
"""From a layer's input to what is added to its output; layers are linear in their weight and bias, norms too."""

_FACTORS = {"lora_up.weight", "lora_down.weight", "lora_mid.weight", "alpha", "diff_b"}


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
    if set(module) <= _FACTORS:
        return _Factors(layer, module, strength * scale_of(module), bias, name)
    if not needs_base(module):
        return _Layer(layer, weight_change(module, shape, None, name) * strength, bias)
    weight_change(module, shape, weight.detach().float().cpu(), name)
    return _Late(layer, lambda own: weight_change(module, shape, own.detach().float().cpu(), name) * strength, bias)


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
        self._weight, self._bias = _like(self._weight, x), _like(self._bias, x)
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


class _Factors:
    """A plain LoRA's factors one after the other, a convolution's middle one included."""

    def __init__(self, layer: Any, module: Module, scale: float, bias: Tensor | None, name: str) -> None:
        self._layer, self._bias = layer, bias
        down, up, mid = (module.get(f"lora_{part}.weight") for part in ("down", "up", "mid"))
        if down is None or up is None or min(down.ndim, up.ndim) < 2:
            raise CheckpointError(f"{name} lacks one of its two factors; the file is damaged")
        kernel = tuple(layer.weight.shape[2:])
        self._down, self._up = _shaped(down, kernel if mid is None else (1,) * len(kernel), name), up.flatten(1) * scale
        self._mid = None if mid is None else _shaped(mid, kernel, name)
        outputs, inputs = layer.weight.shape[0], layer.weight.shape[1] * getattr(layer, "groups", 1)
        chain = [inputs, down.shape[0], *([] if mid is None else [mid.shape[0]]), outputs]
        ends = [down.shape[1], *([] if mid is None else [mid.shape[1]]), self._up.shape[1], self._up.shape[0]]
        if chain != ends:
            told = ", ".join(str(list(factor.shape)) for factor in (up, mid, down) if factor is not None)
            raise CheckpointError(f"{name} does not fit a weight of shape {list(layer.weight.shape)}: factors {told}")

    def __call__(self, x: Tensor) -> Tensor:
        self._down, self._up, self._mid, self._bias = (
            _like(factor, x) for factor in (self._down, self._up, self._mid, self._bias)
        )
        if self._down.ndim == 2:
            return nnf.linear(nnf.linear(x, self._down), self._up, self._bias)
        layer = self._layer
        where = (layer.stride, layer.padding, layer.dilation)
        x = nnf.conv2d(x, self._down, None, *(where if self._mid is None else ()))
        x = x if self._mid is None else nnf.conv2d(x, self._mid, None, *where)
        return nnf.conv2d(x, self._up[:, :, None, None], self._bias)


def _shaped(factor: Tensor, kernel: tuple[int, ...], name: str) -> Tensor:
    """A factor for a linear layer (no kernel) or a convolution; a 1x1 kernel may be written or left out."""
    written = tuple(factor.shape[2:])
    if written != kernel and {*written, *kernel} - {1}:
        raise CheckpointError(f"{name} has a kernel {list(written)} where the model has {list(kernel)}")
    return factor.reshape(*factor.shape[:2], *kernel)


def _like(tensor: Any, x: Tensor) -> Any:
    return tensor if tensor is None else tensor.to(device=x.device, dtype=x.dtype)


def _operate(layer: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if hasattr(layer, "num_groups"):
        return nnf.group_norm(x, layer.num_groups, weight, bias, layer.eps)
    if hasattr(layer, "normalized_shape"):
        return nnf.layer_norm(x, layer.normalized_shape, weight, bias, layer.eps)
    if weight.ndim == 2:
        return nnf.linear(x, weight, bias)
    return nnf.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)
