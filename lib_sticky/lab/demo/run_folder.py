"""The folder of one training run: states of its stages, a log, sheets; files appear whole or not at all."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lib_sticky.lab.demo.plot import save_loss_plot

KEEP_EVERY = 100
"""Steps between two states that a run which is cut off can go on from."""


@dataclass(frozen=True)
class RunFolder:
    """States are kept by name as PyTorch files that hold tensors and plain values only."""

    path: Path

    def has(self, name: str) -> bool:
        """Whether a state of this name was saved."""
        return (self.path / f"{name}.pt").exists()

    def load(self, name: str) -> Any:
        """The state saved under a name."""
        return torch.load(self.path / f"{name}.pt", weights_only=True)

    def save(self, name: str, state: Any) -> None:
        """Save a state; a run that is cut off leaves the previous one."""
        self.path.mkdir(parents=True, exist_ok=True)
        partial = self.path / f"{name}.partial"
        torch.save(state, partial)
        os.replace(partial, self.path / f"{name}.pt")


@dataclass
class Progress:
    """Prints a stage's progress, keeps its losses, draws their plot."""

    folder: RunFolder
    stage: str
    steps: int
    every: int = 50
    losses: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def __call__(self, step: int, figures: dict[str, float]) -> None:
        """Take in the figures of one step; `loss` is the one plotted."""
        self.losses.append(figures["loss"])
        if step % self.every == 0 or step + 1 == self.steps:
            recent = self.losses[-self.every :]
            seconds = time.monotonic() - self.started
            line = {"stage": self.stage, "step": step, "of": self.steps, "loss": sum(recent) / len(recent)}
            line |= {"seconds": round(seconds, 1), "cpu_seconds": round(time.process_time(), 1)}
            print(" ".join(f"{k} {round(v, 4) if isinstance(v, float) else v}" for k, v in line.items()), flush=True)
            self.folder.path.mkdir(parents=True, exist_ok=True)
            with (self.folder.path / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")

    def plot(self) -> None:
        """Write the loss plot of the stage."""
        if self.losses:
            save_loss_plot(self.losses, self.folder.path / f"loss_{self.stage}.png", self.stage)
