"""Where a WebUI's loaded model keeps the layers that LoRAs change: its UNet, and its CLIP text encoders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from lib_sticky.lora.places import text_places

_FORGE_ENCODERS = ("clip_l", "clip_h", "clip_g")


def network_of(model: Any) -> Any:
    """What predicts the noise in `p.sd_model`, UNet or not."""
    objects = getattr(model, "forge_objects", None)
    holder = model.model if objects is None else objects.unet.model
    return getattr(holder, "diffusion_model", None)


def unet_of(model: Any) -> nn.Module:
    """The UNet of `p.sd_model`; ValueError for a model that has none."""
    unet = network_of(model)
    if not isinstance(unet, nn.Module) or not hasattr(unet, "input_blocks"):
        raise ValueError(f"{type(unet).__name__} is no UNet; negative LoRAs act on Stable Diffusion 1, 2 and XL only")
    return unet


def text_places_of(model: Any) -> dict[str, nn.Module]:
    """The layers of the text encoders under kohya's names, which number the encoders only where there are two."""
    encoders = list(_encoders(model))
    labels = ["lora_te"] if len(encoders) == 1 else [f"lora_te{number}" for number in range(1, len(encoders) + 1)]
    found: dict[str, nn.Module] = {}
    for label, encoder in zip(labels, encoders, strict=True):
        found |= text_places(encoder, label)
    return found


def _encoders(model: Any) -> Iterator[nn.Module]:
    objects = getattr(model, "forge_objects", None)
    if objects is not None:
        stage = objects.clip.cond_stage_model
        held = (getattr(stage, name, None) for name in _FORGE_ENCODERS)
    else:
        embedders = model.conditioner.embedders if hasattr(model, "conditioner") else [model.cond_stage_model]
        held = (getattr(embedder, "wrapped", embedder) for embedder in embedders)
    for holder in held:
        inner = getattr(holder, "transformer", None) or getattr(holder, "model", None)
        if isinstance(inner, nn.Module):
            yield inner
