"""Sums over one image of a batch, in the widest float that the device has.

Every function reduces over all dimensions but the first, so that latents [B, C, H, W] and [B, C, T, H, W] are
treated alike and a batch of two gives what two batches of one give.
"""

from __future__ import annotations

import torch
from torch import Tensor


def precise(values: Tensor) -> Tensor:
    """`values` as float64, or as float32 where the device may lack float64 (MPS, DirectML, XPU)."""
    return values.to(torch.float64 if values.device.type in ("cpu", "cuda") else torch.float32)


def rows(values: Tensor) -> Tensor:
    """[B, ...] as [B, N] in precise floats."""
    return precise(values).reshape(values.shape[0], -1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each image of `a` with the same image of `b`; [B]."""
    return (rows(a) * rows(b)).sum(dim=1)


def norm(values: Tensor) -> Tensor:
    """Euclidean norm of each image; [B]."""
    return dot(values, values).sqrt()


def rms(values: Tensor) -> Tensor:
    """Root mean square of each image; [B]."""
    return rows(values).square().mean(dim=1).sqrt()


def deviation(values: Tensor) -> Tensor:
    """Population standard deviation of each image; [B]."""
    centred = rows(values)
    return (centred - centred.mean(dim=1, keepdim=True)).square().mean(dim=1).sqrt()


def ratio(numerator: Tensor, denominator: Tensor, empty: float) -> Tensor:
    """numerator / denominator, and `empty` where the denominator is zero."""
    safe = torch.where(denominator == 0, torch.ones_like(denominator), denominator)
    return torch.where(denominator == 0, torch.full_like(numerator, empty), numerator / safe)


def scaled(values: Tensor, factors: Tensor) -> Tensor:
    """Each image of `values` times its own factor [B]; the dtype of `values` is kept."""
    return (precise(values) * factors.reshape(-1, *[1] * (values.ndim - 1))).to(values.dtype)
