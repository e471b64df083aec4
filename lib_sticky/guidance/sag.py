"""Self-attention guidance: blur the prediction where the model looks most, and push away from what it then sees."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .blur import gaussian
from .interval import Interval
from .ranges import require
from .token_grid import token_grid

_TAPS = 9


@dataclass(frozen=True)
class Sag:
    """scale: 0 is off, hosts use 0.5. sigma: blur in latent pixels. threshold: attention that counts as looked at.

    One more model call a step, after the first: its input depends on the first one's result.
    """

    scale: float = 0.5
    sigma: float = 2.0
    threshold: float = 1.0
    interval: Interval = Interval()

    def __post_init__(self) -> None:
        require("SAG scale", self.scale, 0.0)
        require("SAG sigma", self.sigma, 0.0)
        require("SAG threshold", self.threshold, 0.0)


@dataclass(frozen=True)
class Degraded:
    """What the second call of a step gave: the blurred image, and what the model made of it with its noise back."""

    image: Tensor
    prediction: Tensor


def attention_mask(attention: Tensor, height: int, width: int, threshold: float) -> Tensor:
    """Where the attention that a token receives exceeds the threshold: [B, 1, height, width] of 0 and 1.

    attention: [B, heads, queries, keys] after the softmax; the mean over heads is summed over the queries, so that 1
    is the average over all tokens. Taken from the middle block of the pass that is blurred.
    """
    received = attention.float().mean(dim=1).sum(dim=1)
    grid = token_grid(received.shape[-1], height, width)
    looked_at = (received > threshold).float().reshape(-1, 1, *grid)
    return interpolate(looked_at, size=(height, width), mode="nearest")


def degrade(image: Tensor, mask: Tensor, sigma: float) -> Tensor:
    """mask * blur(image) + (1 - mask) * image, with a 9-tap Gaussian."""
    return torch.where(mask > 0, gaussian(image, sigma, _TAPS), image)


def degraded_input(x: Tensor, image: Tensor, degraded: Tensor) -> Tensor:
    """The latents for the second call: the degraded image under the same noise, in the variance-exploding form.

    D + scale * (degraded - D_u(degraded + x - D_u)) is the guided prediction (see `perturbed.push`).
    Source: Hong et al., arXiv 2210.00939, algorithm 1, in the form of ComfyUI's nodes_sag.py.
    """
    return degraded + x - image
