"""The models of the study: the one that is studied, two fine-tunes of it, and their 50% merge, made when asked for."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from benchmarks.claims_plan import BASE, COLD, MERGED, WARM
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.demo import finetune
from lib_sticky.merge import command as merging
from lib_sticky.studio.models import open_model

_STEPS, _CHUNKS = 150, 8
"""Of the fine-tunes: long enough to forget the other half's colours, short enough to wait for."""


class Models:
    """Opens each model once; `folder` is where the fine-tunes and the merge are kept."""

    def __init__(self, path: Path, folder: Path, dtype: str) -> None:
        self._path, self._folder, self._dtype = path, folder, getattr(torch, dtype)
        self._opened: dict[str, Diffusers] = {}

    def open(self, name: str) -> Diffusers:
        """The model called `name` in claims_plan.py."""
        if name not in self._opened:
            host = open_model(self._path if name == BASE else self._made(name))
            if host.device.type == "cpu":
                host.pipe.unet.to(self._dtype)
                host.pipe.vae.to(memory_format=torch.channels_last)
            self._opened[name] = host
        return self._opened[name]

    def pictures(self, host: Diffusers, latents: Tensor) -> list[Image.Image]:
        """The decoded latents; in bfloat16 the VAE's convolutions, not its weights, are, to within 1 of 255."""
        half = host.device.type == "cpu" and self._dtype is torch.bfloat16
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return [Image.fromarray(array) for array in host.pictures(latents)]

    def _made(self, name: str) -> Path:
        path = self._folder / f"{name}.safetensors"
        if path.is_file():
            return path
        self._folder.mkdir(parents=True, exist_ok=True)
        if name == MERGED:
            parents = [str(self._made(parent)) for parent in (WARM, COLD)]
            status = merging.main([*parents, "-o", str(path), "--quiet"])
        else:
            flags = {"--half": name, "--out": path, "--model": self._path, "--steps": _STEPS, "--chunks": _CHUNKS}
            status = finetune.main([str(each) for pair in flags.items() for each in pair])
        if status:
            raise RuntimeError(f"the model {name} was not made (status {status})")
        return path
