"""Opens a Stable Diffusion model for the studio, offline: an LDM single file or a folder in diffusers' form.

The configurations that a single file lacks are known here for the shipped model, SD 1.x and SDXL; the kind is read
from the file's header. CLIP's tokenizer files ship with the demo model and serve all three.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors import safe_open

MODELS = Path(__file__).resolve().parents[2] / "models"
DEMO = MODELS / "sticky-demo" / "sticky-demo.safetensors"
_TOKENIZER = MODELS / "sticky-demo" / "text_encoder"
_TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json")
_TEXT_PROBE = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
_XL_PROBE = "conditioner.embedders.1.model.token_embedding.weight"
_UNET_PROBE = "model.diffusion_model.input_blocks.0.0.weight"
_WIDTH_OF_SD1 = 768
_NO_SAFETY_CHECKER: dict[str, Any] = {"safety_checker": None, "requires_safety_checker": False}
_SCHEDULER: dict[str, Any] = {
    "_class_name": "EulerDiscreteScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,  # unused with even spacing; diffusers asks for it
    "timestep_spacing": "linspace",
}
_CLIP_L: dict[str, Any] = {
    "architectures": ["CLIPTextModel"],
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
    "max_position_embeddings": 77,
    "vocab_size": 49408,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 1,
    "model_type": "clip_text_model",
}
_CLIP_G: dict[str, Any] = {
    **_CLIP_L,
    "architectures": ["CLIPTextModelWithProjection"],
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
}
_VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "norm_num_groups": 32,
    "sample_size": 512,
    "scaling_factor": 0.18215,
}
_VAE_DEMO: dict[str, Any] = {**_VAE, "block_out_channels": [96] * 4, "layers_per_block": 0, "sample_size": 128}
_UNET_SD1: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "sample_size": 64,
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "layers_per_block": 2,
    "attention_head_dim": 8,
    "cross_attention_dim": 768,
}
_UNET_XL: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "sample_size": 128,
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 2,
    "attention_head_dim": [5, 10, 20],
    "cross_attention_dim": 2048,
    "transformer_layers_per_block": [1, 2, 10],
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_UNET_DEMO: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "sample_size": 16,
    "block_out_channels": [96],
    "down_block_types": ["CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D"],
    "layers_per_block": 1,
    "attention_head_dim": 2,
    "cross_attention_dim": 64,
}


def _parts(kind: str) -> dict[str, dict[str, Any]]:
    """The configuration of each component of one kind of model, by diffusers' folder names."""
    if kind == "demo":
        text = json.loads((_TOKENIZER / "config.json").read_text(encoding="utf-8"))
        return {"unet": _UNET_DEMO, "vae": _VAE_DEMO, "text_encoder": text}
    if kind == "sd1":
        return {"unet": _UNET_SD1, "vae": _VAE, "text_encoder": _CLIP_L}
    vae = {**_VAE, "sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True}
    return {"unet": _UNET_XL, "vae": vae, "text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G}


def _index(kind: str) -> dict[str, Any]:
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionXLPipeline" if kind == "sdxl" else "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
    }
    if kind == "sdxl":
        index["text_encoder_2"] = ["transformers", "CLIPTextModelWithProjection"]
        index["tokenizer_2"] = ["transformers", "CLIPTokenizer"]
    return index


def _write_configuration(kind: str, folder: Path) -> None:
    """Write the folder of configurations that diffusers wants beside a single file."""
    files: dict[str, Mapping[str, Any]] = {"model_index.json": _index(kind)}
    files["scheduler/scheduler_config.json"] = _SCHEDULER
    for part, settings in _parts(kind).items():
        files[f"{part}/config.json"] = settings
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    for part in ("tokenizer", "tokenizer_2") if kind == "sdxl" else ("tokenizer",):
        (folder / part).mkdir()
        for name in _TOKENIZER_FILES:
            shutil.copyfile(_TOKENIZER / name, folder / part / name)
    if kind == "sdxl":
        settings = json.loads((_TOKENIZER / "tokenizer_config.json").read_text(encoding="utf-8"))
        second = folder / "tokenizer_2" / "tokenizer_config.json"
        second.write_text(json.dumps({**settings, "pad_token": "!"}), encoding="utf-8")


def kind_of(path: Path) -> str:
    """The kind of a single file, from its header: "demo", "sd1" or "sdxl".

    Raises ValueError for any other model, in words that name the file.
    """
    with safe_open(str(path), framework="pt") as file:
        keys = set(file.keys())
        if _UNET_PROBE in keys and file.get_slice(_UNET_PROBE).get_shape()[1] == 4:
            if _XL_PROBE in keys:
                return "sdxl"
            if _TEXT_PROBE in keys:
                width = file.get_slice(_TEXT_PROBE).get_shape()[1]
                return "sd1" if width == _WIDTH_OF_SD1 else "demo"
    raise ValueError(
        f"{path.name}: not a model that the studio opens. It opens single files of SD 1.x and SDXL (text encoder and "
        "autoencoder inside, not inpainting) and the demo model; choose another file."
    )


def load_sd(path: Path, dtype: torch.dtype = torch.float32) -> StableDiffusionPipeline | StableDiffusionXLPipeline:
    """A ready text-to-image pipeline from a .safetensors single file or a diffusers folder, with no network.

    Euler sampler, no safety checker. Raises FileNotFoundError or ValueError naming the file and what to do.
    """
    if path.is_dir():
        index = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
        family = StableDiffusionXLPipeline if "XL" in index["_class_name"] else StableDiffusionPipeline
        extra = {} if family is StableDiffusionXLPipeline else _NO_SAFETY_CHECKER
        pipe = family.from_pretrained(str(path), torch_dtype=dtype, local_files_only=True, **extra)
        pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
        return pipe
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such model file or folder")
    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name}: only .safetensors files are opened; convert the model first")
    kind = kind_of(path)
    with tempfile.TemporaryDirectory() as name:
        _write_configuration(kind, Path(name))
        family = StableDiffusionXLPipeline if kind == "sdxl" else StableDiffusionPipeline
        extra = {} if kind == "sdxl" else _NO_SAFETY_CHECKER
        return family.from_single_file(str(path), config=name, torch_dtype=dtype, local_files_only=True, **extra)
