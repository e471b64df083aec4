"""Token-perturbation guidance: away from a pass whose tokens are shuffled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .interval import Interval
from .ranges import require


@dataclass(frozen=True)
class Tpg:
    """scale: 0 is off, the paper uses 3. One more model row a step."""

    scale: float
    interval: Interval = Interval()

    def __post_init__(self) -> None:
        require("TPG scale", self.scale, 0.0)


def permutation(tokens: int, step: int, layer: int) -> Tensor:
    """The order in which `tokens` are shuffled on a step in a layer: [tokens], on the CPU.

    It depends on nothing else, so that a picture does not depend on the batch it was made in, on the device, or on
    how many random numbers others drew.
    """
    generator = torch.Generator()
    generator.manual_seed(step * 1_000_003 + layer)
    return torch.randperm(tokens, generator=generator)


def shuffle(hidden: Tensor, order: Tensor) -> Tensor:
    """The input [rows, tokens, channels] of a transformer block with its tokens in another order; norms are kept.

    Source: Rajabi et al., arXiv 2506.10036, section 3: the blocks of the downsampling half, a new order each time,
    not undone afterwards.
    """
    return hidden.index_select(1, order.to(hidden.device))
