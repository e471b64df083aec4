"""Sampling for training sheets and evaluation: Euler on k-diffusion's sigmas with guidance, in batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor

from lib_sticky.lab.demo.layout import SCALE_FACTOR, alphas_cumprod


def sigmas(steps: int) -> tuple[Tensor, Tensor]:
    """Noise levels float32 [steps + 1], the last 0, and their time steps [steps], spaced evenly from 999 to 0."""
    when = torch.linspace(999, 0, steps)
    kept = alphas_cumprod()
    table = ((1 - kept) / kept).sqrt()
    low = when.floor().long()
    high = (low + 1).clamp_max(999)
    part = when - low
    log = torch.lerp(table[low].log(), table[high].log(), part)
    return torch.cat((log.exp(), torch.zeros(1))), when


Watch = Callable[[int, Tensor, Tensor], None]


@torch.no_grad()
def sample(
    unet: UNet2DConditionModel,
    positive: Tensor,
    negative: Tensor,
    scale: float,
    start: Tensor,
    steps: int = 20,
    watch: Watch | None = None,
) -> Tensor:
    """Scaled latents [N,4,h,w] from unit noise `start`.

    `positive` and `negative` are text states [N,77,width]; at scale 1 the negative is not evaluated. `watch`, if given,
    sees the step and the denoised latents of the positive and of the negative.
    """
    levels, when = (table.to(start.device) for table in sigmas(steps))
    x = start.float() * levels[0]
    for step in range(steps):
        level = levels[step]
        fed = x / (level**2 + 1).sqrt()
        if scale == 1.0:
            noise = unet(fed.to(unet.dtype), when[step], positive, return_dict=False)[0].float()
        else:
            both = torch.cat((positive, negative))
            made = unet(fed.to(unet.dtype).repeat(2, 1, 1, 1), when[step], both, return_dict=False)[0].float()
            toward, away = made.chunk(2)
            noise = away + scale * (toward - away)
            if watch is not None:
                watch(step, x - level * toward, x - level * away)
        x = x + (levels[step + 1] - level) * noise
    return x


@torch.no_grad()
def decode(vae: AutoencoderKL, latents: Tensor, batch: int = 20) -> Tensor:
    """Pictures before clamping, float32 [N,3,8h,8w], 0..1 inside the range, from scaled latents."""
    parts = [vae.decode((z / SCALE_FACTOR).to(vae.dtype), return_dict=False)[0].float() for z in latents.split(batch)]
    return torch.cat(parts).add_(1).div_(2)
