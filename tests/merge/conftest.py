from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_sticky.merge import Folders, MergeReport, Options, Recipe, compose, merge

Tensors = dict[str, torch.Tensor]


def random_model(seed: int, keys: dict[str, tuple[int, ...]], dtype: torch.dtype = torch.float16) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    return {key: torch.randn(shape, generator=generator).to(dtype) for key, shape in keys.items()}


SMALL = {"unet.a.weight": (8, 6), "unet.a.bias": (8,), "unet.conv.weight": (4, 3, 3, 3), "text.b.weight": (130, 7)}


class Bench:
    """A folder of small checkpoints and merges over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, tensors: Tensors, metadata: dict[str, str] | None = None) -> str:
        path = self.folder / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata)
        return str(path)

    def models(self, count: int, keys: dict[str, tuple[int, ...]] = SMALL, dtype: torch.dtype = torch.float16):
        made = [random_model(seed, keys, dtype) for seed in range(count)]
        return [self.write(f"m{index}", tensors) for index, tensors in enumerate(made)], made

    def run(self, recipe: Recipe, name: str = "out", **options: object) -> tuple[Tensors, MergeReport]:
        target = self.folder / f"{name}.safetensors"
        keep = bool(options.pop("keep", False))
        report = merge(recipe, target, Folders(), Options(overwrite=True, **options), keep=keep)  # type: ignore[arg-type]
        return load_file(target), report

    def method(self, name: str, paths: list[str], params: dict | None = None, **more: object) -> Tensors:
        return self.run(compose(name, paths, params or {}, **more))[0]  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def make_model() -> Callable[..., Tensors]:
    return random_model


@pytest.fixture
def megabyte_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on a megabyte of output at once, so that a small merge takes many turns."""
    for room in ("schedule", "workers"):
        monkeypatch.setattr(f"lib_sticky.merge.{room}.CHUNK_BYTES", 1 << 20)
