"""From the noise-predicting form of timestep samplers to denoised images and sigmas, and back.

A1111's DDIM, DDIM CFG++, PLMS and UniPC hand over x = sqrt(a) x0 + sqrt(1 - a) noise and the model's noise; every
technique here works on denoised images.
"""

from __future__ import annotations

import math

from torch import Tensor


def denoised(x: Tensor, noise: Tensor, alpha: float) -> Tensor:
    """x0 = (x - sqrt(1 - a) noise) / sqrt(a); alpha is the cumulative product of the timestep, 0 < alpha <= 1."""
    return (x - noise * math.sqrt(1 - alpha)) / math.sqrt(alpha)


def noise(x: Tensor, denoised_image: Tensor, alpha: float) -> Tensor:
    """The noise that turns `denoised_image` into x; alpha must be below 1."""
    return (x - denoised_image * math.sqrt(alpha)) / math.sqrt(1 - alpha)


def sigma(alpha: float) -> float:
    """The noise level of x / sqrt(a) in the variance-exploding form: sqrt((1 - a) / a)."""
    return math.sqrt((1 - alpha) / alpha)


def exploding(x: Tensor, alpha: float) -> Tensor:
    """x / sqrt(a) = x0 + sigma * noise."""
    return x / math.sqrt(alpha)
