"""Low-rank factors in training: one pair beside each layer, and their form in a kohya file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn


class Adapter(nn.Module):
    """A trainable branch of a linear layer or a 1x1 convolution: up(down(x)) * alpha / rank, in float32.

    `down` starts as a layer's weight does by default and `up` at zero, so that training starts at the model itself
    (Hu et al., LoRA, arXiv 2106.09685).
    """

    def __init__(self, layer: Any, rank: int, alpha: float, draw: torch.Generator) -> None:
        super().__init__()
        outputs, inputs = layer.weight.shape[:2]
        self.scale = alpha / rank
        self.alpha = alpha
        self.pointwise = layer.weight.ndim == 4
        bound = 1 / math.sqrt(inputs)
        self.down = nn.Parameter(torch.empty(rank, inputs).uniform_(-bound, bound, generator=draw))
        self.up = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, x: Tensor) -> Tensor:
        """What is added to the layer's output for its input `x`."""
        down, up, x = self.down, self.up, x.to(self.down.dtype)
        if self.pointwise:
            return nnf.conv2d(nnf.conv2d(x, down[:, :, None, None]), up[:, :, None, None]) * self.scale
        return nnf.linear(nnf.linear(x, down), up) * self.scale

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The factors as kohya's trainer writes them, in half precision."""
        tail = (1, 1) if self.pointwise else ()
        return {
            f"{name}.lora_down.weight": self.down.detach().cpu().reshape(*self.down.shape, *tail).half(),
            f"{name}.lora_up.weight": self.up.detach().cpu().reshape(*self.up.shape, *tail).half(),
            f"{name}.alpha": torch.tensor(self.alpha).half(),
        }


def adapters_for(layers: Mapping[str, nn.Module], rank: int, alpha: float, seed: int) -> dict[str, Adapter]:
    """An adapter for each of `layers`, by its name in the file, on the layer's device."""
    draw = torch.Generator().manual_seed(seed)
    return {
        name: Adapter(layer, rank, alpha, draw).to(next(layer.parameters()).device) for name, layer in layers.items()
    }


def trained_layers(places: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The layers that kohya's trainer adapts by default: linear ones and 1x1 convolutions of transformer blocks.

    `places` has one name for each layer; the order of its names is kept (networks/lora.py of sd-scripts,
    UNET_TARGET_REPLACE_MODULE and TEXT_ENCODER_TARGET_REPLACE_MODULE).
    """
    return {
        name: layer
        for name, layer in places.items()
        if ("transformer_blocks" in name or name.endswith(("proj_in", "proj_out")) or "_layers_" in name)
        and _is_plain(layer)
    }


def _is_plain(layer: Any) -> bool:
    return layer.weight.ndim == 2 or (layer.weight.ndim == 4 and set(layer.weight.shape[2:]) == {1})
