"""A folder of tiny checkpoints with a queue over it, as a host would have them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from lib_sticky.api.merge_jobs import Jobs, State
from lib_sticky.hosts.checkpoints import FolderCheckpoints
from lib_sticky.merge import MergeCancelled, MergeReport, merge
from lib_sticky.merge.hash_cache import FileHashCache

KEYS = {"unet.a.weight": (8, 6), "unet.a.bias": (8,), "text.b.weight": (13, 7)}


class Shelf(FolderCheckpoints):
    """Folders under one root that count what the host is told; `loads` false stands for a host that cannot load."""

    def __init__(self, root: Path, loads: bool = True) -> None:
        for name in ("models", "loras", "vaes"):
            (root / name).mkdir()
        super().__init__(root / "models", root / "loras", root / "vaes")
        self.root, self.loads = root, loads
        self.refreshed, self.loaded = 0, list[Path]()

    def hashes(self) -> FileHashCache:
        return FileHashCache(self.root / "hashes.json")

    def refresh(self) -> None:
        self.refreshed += 1

    def cannot_load(self) -> str:
        return "" if self.loads else super().cannot_load()

    def load(self, path: Path) -> None:
        if not self.loads:
            super().load(path)
        assert path.is_file()
        self.loaded.append(path)

    def add(self, name: str, value: float, keys: dict[str, tuple[int, ...]] = KEYS, **metadata: str) -> Path:
        path = self.folder() / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        save_file({key: torch.full(shape, value) for key, shape in keys.items()}, path, metadata or None)
        return path


class Gate:
    """Runs merges one by one, each only once it is let through; keeps the order in which they began."""

    def __init__(self) -> None:
        self.open = threading.Semaphore(0)
        self.began, self.together, self.most = list[str](), 0, 0

    def run(self, recipe: Any, target: Path, folders: Any, options: Any, **more: Any) -> MergeReport:
        self.began.append(target.name)
        self.together += 1
        self.most = max(self.most, self.together)
        stopped = False
        while not stopped and not self.open.acquire(timeout=0.01):
            stopped = options.cancelled()
        self.together -= 1
        if stopped:
            raise MergeCancelled
        return merge(recipe, target, folders, options, **more)


def waited(jobs: Jobs, job_id: str, done: Callable[[State], bool] = lambda state: not state.active) -> State:
    """The state of a job once `done`; fails after 20 seconds."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        state = jobs.state(job_id)
        assert state is not None
        if done(state):
            return state
        time.sleep(0.01)
    raise AssertionError(f"{jobs.state(job_id)}")


def half(a: str = "a", b: str = "b", alpha: float = 0.5) -> dict[str, Any]:
    return {"schema": 1, "root": {"merge": "weighted_sum", "inputs": [a, b], "params": {"alpha": alpha}}}
