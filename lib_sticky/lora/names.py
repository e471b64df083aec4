"""Which LoRA modules change which tensor of a checkpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNET = "model.diffusion_model."
RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "emb_layers.1": "time_emb_proj",
    "skip_connection": "conv_shortcut",
}
PLAIN = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_OPEN_CLIP = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
_CLIP_L, _CLIP_G, _T5 = (f"text_encoders.{name}.transformer." for name in ("clip_l", "clip_g", "t5xxl"))
# The text encoders of each architecture: prefix in the checkpoint, and how kohya's trainer calls them.
_ENCODERS = {
    "sd1": (("cond_stage_model.transformer.", "lora_te"),),
    "sd2": (("cond_stage_model.model.", "lora_te"),),
    "sdxl": (("conditioner.embedders.0.transformer.", "lora_te1"), ("conditioner.embedders.1.model.", "lora_te2")),
    "sd3": ((_CLIP_L, "lora_te1"), (_CLIP_G, "lora_te2"), (_T5, "lora_te3")),
    "flux": ((_CLIP_L, "lora_te1"), (_T5, "lora_te2")),
}


@dataclass(frozen=True)
class Slot:
    """The `part`-th of `parts` equal bands of a tensor's rows, and the names that a module that changes it may have."""

    names: tuple[str, ...]
    part: int = 0
    parts: int = 1


def slots_of(key: str, architecture: str) -> tuple[Slot, ...]:
    """Return the slots of a canonical checkpoint key; none when no LoRA changes it."""
    if key.endswith(("in_proj_weight", "in_proj_bias")):
        encoder = _encoder(key.rpartition(".in_proj_")[0], architecture)
        if encoder is None:
            return ()
        return tuple(Slot((_joined(f"{encoder}.{name}_proj"),), part, 3) for part, name in enumerate("qkv"))
    module, dot, kind = key.rpartition(".")
    if not dot or kind not in ("weight", "bias"):
        return ()
    if module.startswith(_UNET):
        own = module.removeprefix(_UNET)
        names = dict.fromkeys((own, diffusers_name(own)))
        return (Slot(tuple(_joined(f"lora_unet.{name}") for name in names)),)
    encoder = _encoder(module, architecture)
    return () if encoder is None else (Slot((_joined(encoder),)),)


def _joined(name: str) -> str:
    return name.replace(".", "_")


def _encoder(module: str, architecture: str) -> str | None:
    for prefix, name in _ENCODERS.get(architecture, ()):
        if module.startswith(prefix):
            return f"{name}.{hugging_name(module.removeprefix(prefix))}"
    return None


def hugging_name(module: str) -> str:
    """Return the transformers name of an OpenCLIP module; other names are returned as they are."""
    found = re.fullmatch(r"transformer\.resblocks\.(\d+)\.(.+)", module)
    if not found:
        return module
    layer, rest = found.groups()
    rest = _OPEN_CLIP.get(rest, rest.replace("attn", "self_attn"))
    return f"text_model.encoder.layers.{layer}.{rest}"


def diffusers_name(module: str) -> str:
    """Return the diffusers name of a UNet module of SD1, SD2 or SDXL."""
    if module in PLAIN:
        return PLAIN[module]
    if found := re.fullmatch(r"middle_block\.(\d)\.(.+)", module):
        place = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}.get(found[1], found[1])
        return f"mid_block.{place}.{RESNET.get(found[2], found[2])}"
    found = re.fullmatch(r"(input|output)_blocks\.(\d+)\.(\d)\.(.+)", module)
    if not found:
        return module
    side, number, place, rest = found[1], int(found[2]), found[3], found[4]
    if side == "input":
        block, index = divmod(number - 1, 3)
        if rest == "op":
            return f"down_blocks.{block}.downsamplers.0.conv"
    else:
        block, index = divmod(number, 3)
        if rest == "conv":
            return f"up_blocks.{block}.upsamplers.0.conv"
    lead = "down_blocks" if side == "input" else "up_blocks"
    layer = "resnets" if place == "0" else "attentions"
    return f"{lead}.{block}.{layer}.{index}.{RESNET.get(rest, rest)}"
