"""Which models the studio can open, and opening one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib_sticky.hosts.diffusers import Diffusers

if TYPE_CHECKING:
    import torch

MODELS = Path(__file__).resolve().parents[2] / "models"


class ModelError(ValueError):
    """A model that cannot be opened, in words."""


class OneAtATime:
    """Opens models by name and keeps the last one only; the name is "" where there is one model."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = paths
        self._last: tuple[str, Diffusers] | None = None

    @classmethod
    def named(cls, names: Sequence[str]) -> OneAtATime:
        """The models that a user names. ModelError where two of them have one name."""
        paths = [chosen(name) for name in names]
        if len(paths) == 1:
            return cls({"": paths[0]})
        found = {path.stem: path for path in paths}
        if len(found) < len(paths):
            raise ModelError("two of these models have the same name; rename one or name it once")
        return cls(found)

    def open(self, name: str) -> Diffusers:
        """The model of that name. ModelError where it cannot be opened."""
        if self._last is None or self._last[0] != name:
            self._last = None  # Before the next one is loaded: memory for both is not needed.
            self._last = (name, open_model(self.paths[name]))
        return self._last[1]


def shipped() -> list[Path]:
    """The models that come with the project, each a single file with its .yaml; the first is the one to start with."""
    found = (path.with_suffix(".safetensors") for path in MODELS.glob("*/*.yaml"))
    return sorted(filter(Path.is_file, found), key=lambda path: (path.parent.name != "sticky-demo", path))


def chosen(path: str) -> Path:
    """The model that a user names: a file, a folder, or nothing for the shipped one."""
    if path.strip():
        return Path(path.strip()).expanduser()
    found = shipped()
    if not found:
        raise ModelError(f"no model ships in {MODELS}; name one, or train it: python run.py train-demo")
    return found[0]


def open_model(path: Path, dtype: torch.dtype | None = None) -> Diffusers:
    """Load a single file or a folder in diffusers' form, without a network: on the GPU, if any.

    Without a `dtype` in half precision there and in full elsewhere.
    """
    if not path.exists():
        raise ModelError(f"there is no file or folder {path}")
    if path.is_dir() and not (path / "model_index.json").is_file():
        raise ModelError(f"the folder {path} has no model_index.json; name a diffusers model folder, or a file")
    import torch
    from diffusers.utils.logging import disable_progress_bar
    from safetensors import SafetensorError

    from lib_sticky.studio.checkpoint import load_sd

    disable_progress_bar()
    on_gpu = torch.cuda.is_available()
    try:
        pipe = load_sd(path, dtype or (torch.float16 if on_gpu else torch.float32))
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{path} cannot be opened: {error}") from error
    if on_gpu:
        pipe.to("cuda")
        pipe.vae.to(dtype=torch.float32)  # SDXL's autoencoder overflows in half precision.
    return Diffusers(pipe)
