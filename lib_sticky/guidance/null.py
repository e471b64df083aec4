"""What "empty" means: the conditioning that an empty prompt is given, and whether two conditionings are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

Conditioning = Tensor | Mapping[str, Tensor]
NullChoice = Literal["zeros", "encoded", "same"]


def null_conditioning(choice: NullChoice, encoded: Conditioning, positive: Conditioning) -> Conditioning:
    """The conditioning of an empty prompt.

    zeros: every tensor all zero, what A1111 and Forge give an empty negative on SDXL. encoded: the text encoder's
    answer to "". same: that of the positive, so that CFG has nothing to act on.
    """
    if choice == "same":
        return positive
    if choice == "encoded":
        return encoded
    if choice != "zeros":
        raise ValueError(f"null is {choice!r}; use zeros, encoded or same")
    if isinstance(encoded, Tensor):
        return torch.zeros_like(encoded)
    return {key: torch.zeros_like(value) for key, value in encoded.items()}


def same_conditioning(a: Conditioning, b: Conditioning) -> bool:
    """Whether every tensor of `a` equals that of `b`: then the model gives one prediction for both."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return False
    return a.keys() == b.keys() and all(same_conditioning(a[key], b[key]) for key in a)
