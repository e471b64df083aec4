"""By which a model is known again: the hash of its file."""

from __future__ import annotations

from pathlib import Path

from lib_sticky.merge.output_file import file_sha256


def model_hash(model: Path) -> str:
    """sha256 of a single file, or of the UNet's file of a diffusers folder; "" where that has another name."""
    path = model / "unet" / "diffusion_pytorch_model.safetensors" if model.is_dir() else model
    return file_sha256(path) if path.is_file() else ""
