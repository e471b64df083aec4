"""The sheet of samples that a training run writes now and then: the same prompts and noise each time."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

from lib_sticky.lab.demo.diffusion import text_states
from lib_sticky.lab.demo.sampling import decode, sample
from lib_sticky.lab.demo.sheet import save_sheet

SHEET_PROMPTS = (
    "a red circle on a white background",
    "two small blue squares on a yellow background",
    "a large green star on black",
    "three orange hearts on a white background",
    "a purple triangle on the left on a white background",
    "a big yellow cross on a blue background",
    "a red house with a tree under the sun",
    "a blurry red heart on white",
)


def save_preview(unet: UNet2DConditionModel, vae: AutoencoderKL, text: CLIPTextModel, path: Path) -> None:
    """Two pictures of each prompt at CFG 5."""
    prompts = [prompt for prompt in SHEET_PROMPTS for _ in range(2)]
    start = torch.randn(len(prompts), 4, 16, 16, generator=torch.Generator().manual_seed(1))
    states = text_states(text, prompts).to(unet.device)
    empty = text_states(text, [""]).to(unet.device).expand_as(states)
    latents = sample(unet, states, empty, 5.0, start.to(unet.device))
    save_sheet(decode(vae, latents.cpu()), 8, path)
