"""Sampling for training sheets and evaluation: the studio's samplers on batches of text states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor

from lib_sticky.lab.demo.layout import SCALE_FACTOR, alphas_cumprod
from lib_sticky.studio.noise_levels import NoiseLevels
from lib_sticky.studio.samplers import SAMPLERS

SAMPLER = "DPM++ 2M"
Watch = Callable[[int, Tensor, Tensor], None]


@dataclass(frozen=True)
class Guided:
    """A step's prediction, of which the noise is taken as it is."""

    prediction: Tensor
    renoise: None = None


@torch.no_grad()
def sample(
    unet: UNet2DConditionModel,
    positive: Tensor,
    negative: Tensor,
    scale: float,
    start: Tensor,
    steps: int = 20,
    watch: Watch | None = None,
    sampler: str = SAMPLER,
) -> Tensor:
    """Scaled latents [N,4,h,w] from unit noise `start`.

    `positive` and `negative` are text states [N,77,width] in any number format; at scale 1 the negative is not
    evaluated. `watch`, if given, sees the step and the denoised latents of the positive and of the negative.
    `sampler`: a name in SAMPLERS.
    """
    chosen = SAMPLERS[sampler]
    grid = chosen.grid(NoiseLevels(alphas_cumprod()), steps)
    draw = torch.Generator().manual_seed(0)
    positive, negative = positive.to(unet.dtype), negative.to(unet.dtype)

    def denoise(x: Tensor, step: int) -> Guided:
        sigma, when = grid.sigmas[step], torch.tensor(grid.timesteps[step], device=x.device)
        fed = (x / (sigma**2 + 1) ** 0.5).to(unet.dtype)
        if scale == 1.0:
            noise = unet(fed, when, positive, return_dict=False)[0].float()
        else:
            both = torch.cat((positive, negative))
            made = unet(fed.repeat(2, 1, 1, 1), when, both, return_dict=False)[0].float()
            toward, away = made.chunk(2)
            noise = away + scale * (toward - away)
            if watch is not None:
                watch(step, x - sigma * toward, x - sigma * away)
        return Guided(x - sigma * noise)

    def fresh_noise() -> Tensor:
        return torch.randn(start.shape, generator=draw).to(start.device)

    *_, latents = chosen.sample(denoise, start.float() * grid.start, grid.sigmas, fresh_noise)
    return latents * grid.end


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Tensor, batch: int = 20) -> Tensor:
    """Pictures before clamping, float32 [N,3,8h,8w], 0..1 inside the range, from scaled latents."""
    parts = [vae.decode((z / SCALE_FACTOR).to(vae.dtype), return_dict=False)[0].float() for z in latents.split(batch)]
    return torch.cat(parts).add_(1).div_(2)
