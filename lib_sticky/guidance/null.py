"""What "empty" can mean: a conditioning of zeros, and whether two conditionings are the same."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Conditioning = Tensor | Mapping[str, Tensor]
TEXT = ("crossattn", "text_embeds")
"""Entries of a dict conditioning that hold nothing but text."""

SIZES = {2816: 1536, 2560: 1280}
"""How many last entries of a `vector` of this length hold sizes: six or five of 256 (SDXL, its refiner)."""


def zeroed(cond: Conditioning) -> Conditioning:
    """The conditioning with its text all zero, as A1111 and Forge make of an empty negative on SDXL; sizes stay."""
    if isinstance(cond, Tensor):
        return torch.zeros_like(cond)
    return {key: _zeroed_entry(key, value) for key, value in cond.items()}


def _zeroed_entry(key: str, value: Tensor) -> Tensor:
    if key in TEXT:
        return torch.zeros_like(value)
    if key != "vector":
        return value
    length = value.shape[-1]
    kept = torch.arange(length, device=value.device) >= length - SIZES.get(length, 0)
    return value * kept.to(value.dtype)


def same_conditioning(a: Conditioning, b: Conditioning) -> bool:
    """Whether every tensor of `a` equals that of `b`: then the model gives one prediction for both."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return False
    return a.keys() == b.keys() and all(same_conditioning(a[key], b[key]) for key in a)
