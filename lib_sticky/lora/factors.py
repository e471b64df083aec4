"""A plain LoRA beside one layer: its factors one after the other, on some rows straight into the layer's output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor

from lib_sticky.merge.errors import CheckpointError

from .forms import Module

FACTORS = {"lora_up.weight", "lora_down.weight", "lora_mid.weight", "alpha", "diff_b"}


class Factors:
    """up(mid(down(x))) on `layer`; `up` [outputs, rank] holds the scale already, `mid` is a convolution's, if any."""

    def __init__(self, layer: Any, down: Tensor, mid: Tensor | None, up: Tensor, bias: Tensor | None) -> None:
        self.layer, self.down, self.mid, self.up, self.bias = layer, down, mid, up, bias
        self._flat = mid is None and bias is None and (down.ndim == 2 or _is_pointwise(layer))
        self._kept: tuple[Any, ...] = ()
        self._flats: tuple[Tensor, Tensor] = (down, up)

    def __call__(self, x: Tensor) -> Tensor:
        """What is added to the layer's output for its input `x`."""
        self.down, self.up, self.mid, self.bias = (like(part, x) for part in (self.down, self.up, self.mid, self.bias))
        if self.down.ndim == 2:
            return nnf.linear(nnf.linear(x, self.down), self.up, self.bias)
        where = (self.layer.stride, self.layer.padding, self.layer.dilation)
        x = nnf.conv2d(x, self.down, None, *(where if self.mid is None else ()))
        x = x if self.mid is None else nnf.conv2d(x, self.mid, None, *where)
        return nnf.conv2d(x, self.up[:, :, None, None], self.bias)

    def add(self, x: Tensor, output: Tensor, first: int, many: int) -> None:
        """Add it to `many` rows of `output` from `first`, in place; as a matrix with no copy the size of an output."""
        if not self._flat or not output.is_contiguous():
            output.narrow(0, first, many).add_(self(x.narrow(0, first, many)))
            return
        if self._kept != (x.dtype, output.dtype, x.device):
            self._keep(x, output)
        down, up = self._flats
        if self.down.ndim == 4:
            for row in range(first, first + many):
                hidden = torch.mm(down, x.select(0, row).reshape(x.shape[1], -1))
                output.select(0, row).view(output.shape[1], -1).addmm_(up, _as(hidden, up))
            return
        if many == 1 and x.ndim == 3:
            own, target = x.select(0, first), output.select(0, first)
        else:
            own = x.narrow(0, first, many).reshape(-1, x.shape[-1])
            target = output.narrow(0, first, many).view(-1, output.shape[-1])
        target.addmm_(_as(torch.mm(own, down), up), up)

    def _keep(self, x: Tensor, output: Tensor) -> None:
        """Both factors as matrices, as they are multiplied; the second in the output's own number format."""
        down, up = self.down.flatten(1).to(x), self.up.to(output)
        self._flats = (down, up) if self.down.ndim == 4 else (down.t(), up.t())
        self._kept = (x.dtype, output.dtype, x.device)


def factors_of(layer: Any, module: Module, scale: float, bias: Tensor | None, name: str) -> Factors:
    """The factors of a LoRA's `module`; CheckpointError that calls it by `name` where they do not fit the layer."""
    down, up, mid = (module.get(f"lora_{part}.weight") for part in ("down", "up", "mid"))
    if down is None or up is None or min(down.ndim, up.ndim) < 2:
        raise CheckpointError(f"{name} lacks one of its two factors; the file is damaged")
    kernel = tuple(layer.weight.shape[2:])
    outputs, inputs = layer.weight.shape[0], layer.weight.shape[1] * getattr(layer, "groups", 1)
    chain = [inputs, down.shape[0], *([] if mid is None else [mid.shape[0]]), outputs]
    flat = up.flatten(1) * scale
    ends = [down.shape[1], *([] if mid is None else [mid.shape[1]]), flat.shape[1], flat.shape[0]]
    own = _shaped(down, kernel if mid is None else (1,) * len(kernel), name)
    middle = None if mid is None else _shaped(mid, kernel, name)
    if chain != ends:
        told = ", ".join(str(list(factor.shape)) for factor in (up, mid, down) if factor is not None)
        raise CheckpointError(f"{name} does not fit a weight of shape {list(layer.weight.shape)}: factors {told}")
    return Factors(layer, own, middle, flat, bias)


def stacked(branches: Sequence[Any]) -> list[Any]:
    """The branches of one layer, with all of its plain factors as one pair of their ranks' sum."""
    plain = [branch for branch in branches if isinstance(branch, Factors) and branch.mid is None]
    if len(plain) < 2:
        return list(branches)
    biases = [branch.bias for branch in plain if branch.bias is not None]
    one = Factors(
        plain[0].layer, torch.cat([branch.down for branch in plain]), None,
        torch.cat([branch.up for branch in plain], dim=1), sum(biases[1:], biases[0]) if biases else None,
    )  # fmt: skip
    return [one, *(branch for branch in branches if branch not in plain)]


def like(tensor: Any, x: Tensor) -> Any:
    """`tensor`, if any, where `x` is and in its number format."""
    return tensor if tensor is None else tensor.to(device=x.device, dtype=x.dtype)


def _as(hidden: Tensor, factor: Tensor) -> Tensor:
    """Under autocast a product has another number format than what was multiplied."""
    return hidden if hidden.dtype is factor.dtype else hidden.to(factor.dtype)


def _is_pointwise(layer: Any) -> bool:
    return tuple(layer.kernel_size) == tuple(layer.stride) == (1, 1) and set(layer.padding) == {0} and layer.groups == 1


def _shaped(factor: Tensor, kernel: tuple[int, ...], name: str) -> Tensor:
    """A factor for a linear layer (no kernel) or a convolution; a 1x1 kernel may be written or left out."""
    written = tuple(factor.shape[2:])
    if written != kernel and {*written, *kernel} - {1}:
        raise CheckpointError(f"{name} has a kernel {list(written)} where the model has {list(kernel)}")
    return factor.reshape(*factor.shape[:2], *kernel)
