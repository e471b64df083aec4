"""The trained parts as one LDM single file, the form that AUTOMATIC1111 and its relatives load.

Key names follow the CompVis code that SD 1.x was published with; diffusers' own converter reads them back.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextModel

from lib_sticky.lab.demo.layout import TOKENS, alphas_cumprod
from lib_sticky.lora.unet_names import ldm_names

_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def unet_state(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """The UNet's parameters under LDM's names. ValueError for one that LDM has no place for."""
    state = unet.state_dict()
    names = ldm_names({key.rpartition(".")[0] for key in state})
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        if module not in names:
            raise ValueError(f"the UNet parameter {key!r} has no place in the LDM layout")
        found[f"{names[module]}.{leaf}"] = value
    return found


def vae_key(key: str) -> str:
    """LDM's name of one autoencoder parameter, for four levels."""
    key = key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    if found := re.match(r"(encoder|decoder)\.mid_block\.attentions\.0\.(.+)\.(weight|bias)$", key):
        return f"{found[1]}.mid.attn_1.{_VAE_ATTENTION[found[2]]}.{found[3]}"
    if found := re.match(r"(encoder|decoder)\.mid_block\.resnets\.(\d)\.(.+)", key):
        return f"{found[1]}.mid.block_{int(found[2]) + 1}.{found[3]}"
    if found := re.match(r"encoder\.down_blocks\.(\d)\.downsamplers\.0\.(.+)", key):
        return f"encoder.down.{found[1]}.downsample.{found[2]}"
    if found := re.match(r"decoder\.up_blocks\.(\d)\.(.+)", key):
        rest = re.sub(r"^resnets\.", "block.", found[2]).replace("upsamplers.0.", "upsample.")
        return f"decoder.up.{3 - int(found[1])}.{rest}"
    return key


def schedule_buffers() -> dict[str, Tensor]:
    """The buffers of LDM's DDPM class for SD 1.x's schedule (posterior with v = 0)."""
    kept = alphas_cumprod().double()
    before = torch.cat((torch.ones(1, dtype=torch.float64), kept[:-1]))
    betas = 1.0 - kept / before
    variance = betas * (1.0 - before) / (1.0 - kept)
    buffers = {
        "betas": betas,
        "alphas_cumprod": kept,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": kept.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1.0 - kept).sqrt(),
        "log_one_minus_alphas_cumprod": (1.0 - kept).log(),
        "sqrt_recip_alphas_cumprod": (1.0 / kept).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1.0 / kept - 1.0).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp_min(1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1.0 - kept),
        "posterior_mean_coef2": (1.0 - before) * (1.0 - betas).sqrt() / (1.0 - kept),
    }
    return {name: value.float() for name, value in buffers.items()}


def ldm_state(unet: UNet2DConditionModel, vae: AutoencoderKL, text: CLIPTextModel) -> dict[str, Tensor]:
    """The whole model under LDM's names, weights in float16, schedule buffers in float32."""
    state: dict[str, Tensor] = {}
    for key, value in unet_state(unet).items():
        state["model.diffusion_model." + key] = value.half()
    for key, value in vae.state_dict().items():
        name = vae_key(key)
        square = ".mid.attn_1." in name and name.endswith("weight") and ".norm." not in name
        state["first_stage_model." + name] = (value[:, :, None, None] if square else value).half()
    for key, value in text.state_dict().items():
        name = key if key.startswith("text_model.") else "text_model." + key
        if not name.endswith("position_ids"):
            state["cond_stage_model.transformer." + name] = value.half()
    positions = torch.arange(TOKENS).unsqueeze(0)
    state["cond_stage_model.transformer.text_model.embeddings.position_ids"] = positions
    return {key: value.contiguous() for key, value in {**state, **schedule_buffers()}.items()}


def save(path: Path, unet: UNet2DConditionModel, vae: AutoencoderKL, text: CLIPTextModel, note: dict[str, str]) -> None:
    """Write the single file beside its final place first and rename it, so that no half-written model is left."""
    partial = path.with_suffix(".partial")
    save_file(ldm_state(unet, vae, text), str(partial), metadata={"format": "pt", **note})
    partial.chmod(0o644)
    os.replace(partial, path)
