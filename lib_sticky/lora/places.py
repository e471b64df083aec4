"""Which modules of a loaded model a LoRA may change, by every name that it may give them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn

from .names import diffusers_name, hugging_name
from .unet_names import ldm_names

Places = Mapping[str, nn.Module]
"""Modules by their kohya name, such as `lora_unet_mid_block_attentions_0_proj_in`."""

_LDM_UNET = "input_blocks.0.0"


def unet_places(unet: nn.Module) -> dict[str, nn.Module]:
    """The weighted modules of a UNet in diffusers' or LDM's form, under the names of both."""
    modules = dict(_weighted(unet))
    other = {name: diffusers_name(name) for name in modules} if _LDM_UNET in modules else ldm_names(modules)
    return {
        _kohya("lora_unet", name): module
        for own, module in modules.items()
        for name in dict.fromkeys((own, other.get(own, own)))
    }


def unet_file_places(unet: nn.Module, *, ldm: bool) -> dict[str, nn.Module]:
    """The weighted modules of a diffusers UNet under one name each, as a file is to have them: LDM's or diffusers'."""
    modules = dict(_weighted(unet))
    names = ldm_names(modules) if ldm else {name: name for name in modules}
    return {_kohya("lora_unet", names[own]): module for own, module in modules.items() if own in names}


def text_places(encoder: nn.Module, label: str) -> dict[str, nn.Module]:
    """The weighted modules of a CLIP text encoder; `label` is `lora_te`, or with SDXL `lora_te1` and `lora_te2`.

    transformers before version 5 has `text_model.` before every name, later versions do not; kohya's names always do.
    OpenCLIP's attention has no place: it multiplies by weights of its own without calling a layer that could be hooked.
    """
    fused = [f"{name}." for name, module in encoder.named_modules() if isinstance(module, nn.MultiheadAttention)]
    own = ((name, module) for name, module in _weighted(encoder) if not name.startswith(tuple(fused)))
    names = ((hugging_name(name).removeprefix("text_model."), module) for name, module in own)
    return {_kohya(label, f"text_model.{name}"): module for name, module in names}


def _weighted(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in root.named_modules():
        if isinstance(getattr(module, "weight", None), nn.Parameter):
            yield name, module


def _kohya(label: str, name: str) -> str:
    return f"{label}.{name}".replace(".", "_")
