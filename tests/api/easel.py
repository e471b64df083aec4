"""A painter of coloured noise: fast, repeatable, and stoppable at every batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from lib_sticky.config import Config, ConfigError
from lib_sticky.hosts.painter import Batch, Model, Painted, Prompts, Settings

RULE = "Even seeds are worth keeping."


@dataclass
class Easel:
    """Every batch waits for the gate, where there is one. `models` names the model of each batch, the last for ever."""

    models: list[str] = field(default_factory=lambda: ["paint"])
    gate: threading.Semaphore | None = None
    batches: list[tuple[Config, range]] = field(default_factory=list)
    asked: list[tuple[Prompts, Settings]] = field(default_factory=list)
    fails: Exception | None = None
    interrupted: int = 0

    def samplers(self) -> list[str]:
        return ["Euler", "DDIM"]

    def model(self) -> Model:
        return Model(self.models[0], Path(f"/models/{self.models[0]}.safetensors"), "0a1b")

    def check(self, settings: Settings, config: Config) -> None:
        if config.cfgpp and settings.steps == 7:
            raise ConfigError("sampler", "seven steps of CFG++ cannot be painted")

    def paint(self, batch: Batch, stopped: Callable[[], bool]) -> Painted | None:
        while self.gate is not None and not self.gate.acquire(timeout=0.02):
            if stopped():
                return None
        if stopped():
            return None
        if self.fails is not None:
            raise self.fails
        self.batches.append((batch.config, batch.seeds))
        self.asked.append((batch.prompts, batch.settings))
        model = self.models.pop(0) if len(self.models) > 1 else self.models[0]
        side, seeds = batch.settings.width or 24, batch.seeds
        pictures = [painting(seed, batch.config, side) for seed in seeds]
        return Painted(
            pictures, [f"Steps: {batch.settings.steps}, Seed: {seed}, Size: {side}x{side}" for seed in seeds],
            "everything", model, "0a1b2c3d4e", [{"judged clean, and not blank": seed % 2 == 0} for seed in seeds], RULE,
        )  # fmt: skip

    def interrupt(self) -> None:
        self.interrupted += 1


def painting(seed: int, config: Config, side: int = 24) -> Image.Image:
    """Of the seed and PAG only: presets that differ elsewhere paint the same."""
    rng = np.random.default_rng([seed, int(config.pag)])
    return Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
