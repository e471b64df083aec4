"""Training of the KL autoencoder in two stages that fit a CPU.

First the encoder learns against a cheap decoder that paints 8x8 patches straight from the latent grid; then the real
decoder learns to invert the frozen encoder, from latents with a little noise, so that it forgives the UNet's errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
import torch.nn.functional as nnf
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn

from lib_sticky.lab.demo.channels_last_norm import for_training_on_cpu
from lib_sticky.lab.demo.master_weights import MasterWeights
from lib_sticky.lab.demo.number_format import quick_format

Report = Callable[[int, dict[str, float]], None]
KL_WEIGHT = 1e-3
LATENT_NOISE = 0.08


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class PatchDecoder(nn.Module):
    """Latents [N,4,h,w] to pictures [N,3,8h,8w] with all work on the latent grid; thrown away after the first stage."""

    def __init__(self, width: int = 128, blocks: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, width, 3, padding=1), *(_Block(width) for _ in range(blocks)), nn.Conv2d(width, 192, 1)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Decode."""
        return nnf.pixel_shuffle(self.body(z), 8)


def _edges(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error of pixels and, at the same weight, of differences between neighbours."""
    made, wanted = made.float(), wanted.float()
    loss = (made - wanted).abs().mean() + (made - wanted).square().mean()
    return loss + sum((a - b).abs().mean() for a, b in zip(_edges(made), _edges(wanted), strict=True))


def _batches(pictures: Tensor, size: int, crop: int, draw: torch.Generator) -> Iterator[Tensor]:
    side = pictures.shape[-1]
    while True:
        rows = torch.randint(pictures.shape[0], (size,), generator=draw)
        y, x = (int(v) for v in torch.randint((side - crop) // 8 + 1, (2,), generator=draw) * 8)
        batch = pictures[rows][..., y : y + crop, x : x + crop]
        yield batch.to(quick_format()).div_(127.5).sub_(1.0).contiguous(memory_format=torch.channels_last)


def _prepared(module: nn.Module) -> nn.Module:
    return for_training_on_cpu(module.to(quick_format()))


def train_encoder(
    vae: AutoencoderKL, pictures: Tensor, steps: int, batch: int, seed: int, report: Report
) -> PatchDecoder:
    """Train the encoder (and `quant_conv`) of `vae` in place on pictures uint8 [N,3,128,128]."""
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    vae.encoder.mid_block.attentions[0].set_processor(AttnProcessor())
    painter = PatchDecoder()
    parts = nn.ModuleList([_prepared(vae.encoder), _prepared(vae.quant_conv), _prepared(painter)])
    weights = MasterWeights(parts, rate=2e-3, steps=steps)
    for step, x in zip(range(steps), _batches(pictures, batch, 128, draw), strict=False):
        mean, log_var = vae.quant_conv(vae.encoder(x)).float().chunk(2, 1)
        log_var = log_var.clamp(-12, 4)
        kl = 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).mean()
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        loss = picture_loss(painter(z.to(x.dtype)), x)
        weights.step(loss + KL_WEIGHT * kl)
        report(step, {"loss": float(loss.detach()), "kl": float(kl.detach())})
    weights.settle()
    return painter


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: Tensor, batch: int = 25) -> Tensor:
    """Mean latents of pictures uint8, before scaling, float32 [N,4,16,16]."""
    made: list[Tensor] = []
    for rows in pictures.split(batch):
        x = rows.to(vae.dtype).div(127.5).sub(1.0).contiguous(memory_format=torch.channels_last)
        made.append(vae.quant_conv(vae.encoder(x)).float().chunk(2, 1)[0])
    return torch.cat(made)


@torch.no_grad()
def normalise(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Fold a shift and a scale into `quant_conv` so that scaled latents have mean 0 and deviation 1 in each channel.

    Returns the unscaled latents as the changed encoder would give them; call it before the decoder is trained.
    """
    mean, spread = latents.mean((0, 2, 3)), latents.std((0, 2, 3)) * vae.config["scaling_factor"]
    weight, bias = vae.quant_conv.weight, cast(Tensor, vae.quant_conv.bias)
    weight[:4] = (weight[:4].float() / spread.view(-1, 1, 1, 1)).to(weight.dtype)
    bias[:4] = ((bias[:4].float() - mean) / spread).to(bias.dtype)
    bias[4:] -= 2 * spread.log().to(bias.dtype)
    vae.post_quant_conv.weight.mul_(vae.config["scaling_factor"])
    return (latents - mean.view(1, -1, 1, 1)) / spread.view(1, -1, 1, 1)


def train_decoder(
    vae: AutoencoderKL, latents: Tensor, pictures: Tensor, steps: int, batch: int, seed: int, report: Report
) -> None:
    """Train the decoder (and `post_quant_conv`) of `vae` in place to turn unscaled latents into their pictures.

    Crops of 64x64 make up all but the last fifth of the steps; whole pictures, a quarter as many, the rest.
    """
    draw = torch.Generator().manual_seed(seed)
    vae.decoder.mid_block.attentions[0].set_processor(AttnProcessor())
    parts = nn.ModuleList([_prepared(vae.decoder), _prepared(vae.post_quant_conv)])
    weights = MasterWeights(parts, rate=1.5e-3, steps=steps)
    spread = float(latents.std())
    for step in range(steps):
        side, size = (8, batch) if step < 0.8 * steps else (16, max(1, batch // 4))
        rows = torch.randint(latents.shape[0], (size,), generator=draw)
        y, x = (int(v) for v in torch.randint(17 - side, (2,), generator=draw))
        z = latents[rows][..., y : y + side, x : x + side]
        z = z + LATENT_NOISE * spread * torch.randn(z.shape, generator=draw)
        wanted = pictures[rows][..., 8 * y : 8 * (y + side), 8 * x : 8 * (x + side)].float().div(127.5).sub(1.0)
        z = z.to(quick_format()).contiguous(memory_format=torch.channels_last)
        loss = picture_loss(vae.decoder(vae.post_quant_conv(z)), wanted)
        weights.step(loss)
        report(step, {"loss": float(loss.detach())})
    weights.settle()
