"""What a host knows of model files: where they are, how they are loaded, and which hashes it remembers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from lib_sticky.hosts.base import Host
from lib_sticky.hosts.webui_hashes import WebUIHashes
from lib_sticky.merge import Folders
from lib_sticky.merge.hash_cache import HashCache, default_cache

UNSAVED = "sticky-unsaved"
"""The folder inside the checkpoint folder that holds a merge which is loaded but not saved."""
CHECKPOINT = "sd_model_checkpoint"
"""The host's option that names the chosen checkpoint; a job may override it."""


class LoadFailed(RuntimeError):
    """The host did not load a checkpoint; says so in words."""


class Checkpoints(Protocol):
    """The model files of one host. Every method may be called from any thread."""

    def folder(self) -> Path:
        """Where new checkpoints go."""
        ...

    def folders(self) -> Folders:
        """Everything that a recipe may name: checkpoints, VAEs and LoRAs."""
        ...

    def models(self) -> list[str]:
        """Checkpoints as names inside their folders."""
        ...

    def vaes(self) -> list[str]: ...

    def loras(self) -> list[str]: ...

    def hashes(self) -> HashCache:
        """The sha256 of files that the host remembers, and will not compute again when told."""
        ...

    def refresh(self) -> None:
        """Make the host see files that came or went; what is chosen stays chosen."""
        ...

    def pinned(self) -> str:
        """Why the host's own refresh button chooses another checkpoint, in words; empty where it does not."""
        ...

    def cannot_load(self) -> str:
        """Why `load` does not work here, in words; empty where it does."""
        ...

    def load(self, path: Path) -> None:
        """Make a file inside `folder()` the host's current checkpoint; raises LoadFailed."""
        ...


class FolderCheckpoints:
    """Plain folders with no host around them, as the studio has."""

    def __init__(self, checkpoints: Path, loras: Path | None = None, vaes: Path | None = None) -> None:
        self._checkpoints = checkpoints
        self._loras, self._vaes = ([loras] if loras else []), ([vaes] if vaes else [])

    def folder(self) -> Path:
        return self._checkpoints

    def folders(self) -> Folders:
        return Folders([self._checkpoints, *self._vaes], self._loras)

    def models(self) -> list[str]:
        return [name for name in _listed([self._checkpoints]) if not _is_vae(name)]

    def vaes(self) -> list[str]:
        return _with_vaes_beside([self._checkpoints], self._vaes)

    def loras(self) -> list[str]:
        return _listed(self._loras)

    def hashes(self) -> HashCache:
        return default_cache()

    def refresh(self) -> None:
        """Nothing remembers a list here."""

    def pinned(self) -> str:
        return ""

    def cannot_load(self) -> str:
        return "There is no WebUI here that could load a checkpoint: merge to a file and choose it where you generate."

    def load(self, path: Path) -> None:
        raise LoadFailed(f"{path.name}: {self.cannot_load()}")


class WebUICheckpoints:
    """A1111, reForge and Forge Classic."""

    def folder(self) -> Path:
        return self.checkpoint_folders()[0]

    def folders(self) -> Folders:
        return Folders([*self.checkpoint_folders(), *self._vae_folders()], self._lora_folders())

    def models(self) -> list[str]:
        return [name for name in _listed(self.checkpoint_folders()) if not _is_vae(name)]

    def vaes(self) -> list[str]:
        return _with_vaes_beside(self.checkpoint_folders(), self._vae_folders())

    def loras(self) -> list[str]:
        return _listed(self._lora_folders())

    def hashes(self) -> HashCache:
        return WebUIHashes(self.checkpoint_folders())

    def refresh(self) -> None:
        from modules import shared

        chosen = shared.opts.data.get(CHECKPOINT)
        self._list()
        if chosen is not None:
            shared.opts.data[CHECKPOINT] = chosen  # Where there is a --ckpt, listing chooses that one (`list_models`).

    def _list(self) -> None:
        from modules import sd_models

        sd_models.list_models()

    def pinned(self) -> str:
        from modules import shared

        first = getattr(shared.cmd_opts, "ckpt", None)
        if not first or not os.path.exists(first):
            return ""
        return (
            f"This WebUI's own refresh button chooses {Path(first).name} again (--ckpt), so it is not "
            "pressed for you after a merge."
        )

    def cannot_load(self) -> str:
        return ""

    def load(self, path: Path) -> None:
        """Set the host's own option, whose callback loads under the host's queue lock.

        A state dict handed to `load_model` would need a real file all the same, and infotexts would show the hash of
        another one (modules/sd_models.py, `load_model_weights`).
        """
        from modules import shared

        title = self.listed(path).title
        if shared.opts.data.get(CHECKPOINT) != title and not shared.opts.set(CHECKPOINT, title):
            raise LoadFailed(f"{path.name} was written but could not be loaded; the WebUI's log says why")

    def listed(self, path: Path) -> Any:
        """What the host knows of a new file inside `folder()`; raises LoadFailed."""
        from modules import sd_models

        self.refresh()
        for info in sd_models.checkpoints_list.values():
            if _place(info.filename) == _place(path):
                return info
        raise LoadFailed(f"{path.name} was written but the WebUI does not list it; press its refresh button")

    def checkpoint_folders(self) -> list[Path]:
        from modules import sd_models, shared

        return _existing(shared.cmd_opts.ckpt_dir, sd_models.model_path)

    def _vae_folders(self) -> list[Path]:
        from modules import sd_vae, shared

        return _existing(shared.cmd_opts.vae_dir, sd_vae.vae_path)

    def _lora_folders(self) -> list[Path]:
        from modules import shared

        return _existing(getattr(shared.cmd_opts, "lora_dir", None))


class ForgeCheckpoints(WebUICheckpoints):
    """Forge, whose `sd_model_checkpoint` option has no callback and whose model loads when it is next used."""

    def _list(self) -> None:
        from modules_forge import main_entry

        main_entry.refresh_models()

    def load(self, path: Path) -> None:
        from modules import call_queue, sd_models
        from modules_forge import main_entry

        title = self.listed(path).title
        with call_queue.queue_lock:
            main_entry.checkpoint_change(title, save=False)
            try:
                sd_models.forge_model_reload()
            except Exception as error:  # Anything: the loaders of many architectures are behind this call.
                raise LoadFailed(f"{path.name} was written but could not be loaded: {error}") from error


def webui(host: Host) -> WebUICheckpoints:
    """The model files of the WebUI that `host` stands for."""
    return ForgeCheckpoints() if host.name == "Forge" else WebUICheckpoints()


def _existing(*folders: Any) -> list[Path]:
    return list(dict.fromkeys(Path(folder).resolve() for folder in folders if folder and os.path.isdir(folder)))


def _place(path: str | Path) -> str:
    """The same for every way to one file: a user's folder of models is often a link."""
    return os.path.normcase(os.path.realpath(path))


def _is_vae(name: str) -> bool:
    return name.endswith(".vae.safetensors")


def _listed(folders: list[Path]) -> list[str]:
    return sorted({name for folder in folders for name in _inside(folder)}, key=str.casefold)


def _inside(folder: Path) -> Iterator[str]:
    for parent, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if name != UNSAVED]
        place = Path(parent).relative_to(folder)
        yield from ((place / name).as_posix() for name in files if name.endswith(".safetensors"))


def _with_vaes_beside(checkpoints: list[Path], vaes: list[Path]) -> list[str]:
    """VAEs of their own folder, and those that lie beside the checkpoint they belong to."""
    return [*(name for name in _listed(checkpoints) if _is_vae(name)), *_listed(vaes)]
