"""What one run of the studio is asked to make; its fields give the command line its flags and the page its controls."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib_sticky.config import Config, Option, option

SAMPLER_NAMES = ("Euler a", "Euler", "DPM++ 2M", "DDIM", "UniPC")
RENOISING = ("Euler a", "Euler", "DDIM")
"""The samplers whose step says what noise is added again, which CFG++ needs."""

NATIVE = 0
"""A width or height of 0 is the size that the model was trained at."""


class JobError(ValueError):
    """A value that cannot be used; `field` names it as Job does."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Job:
    """One batch of pictures: image i is made from seed + i."""

    prompt: str = option("", label="Prompt", help="What the picture shows, in A1111's prompt syntax.", lines=3)
    negative: str = option("", label="Negative prompt", help="What it should not show, as typed.", lines=2)
    sampler: str = option("Euler a", label="Sampler", help="How noise becomes a picture.", choices=SAMPLER_NAMES)
    steps: int = option(20, label="Steps", help="Sampling steps.", minimum=1, maximum=150, step=1)
    cfg: float = option(7.0, label="CFG scale", help="Guidance scale; 1 is none.", minimum=0, maximum=60, step=0.5)
    width: int = option(NATIVE, label="Width", help="0: the model's own size.", minimum=0, maximum=4096, step=8)
    height: int = option(NATIVE, label="Height", help="0: the model's own size.", minimum=0, maximum=4096, step=8)
    seed: int = option(-1, label="Seed", help="-1: a new one each time.", minimum=-1, maximum=2**32 - 1, step=1)
    batch: int = option(1, label="Batch size", help="Pictures, of seeds in a row.", minimum=1, maximum=64, step=1)
    clip_skip: int = option(
        1, label="Clip skip", help="Which layer of CLIP to read, counted from the last; not with SDXL.",
        minimum=1, maximum=12, step=1,
    )  # fmt: skip
    config: Config = dataclasses.field(default_factory=Config)

    def __post_init__(self) -> None:
        for name, about in OPTIONS.items():
            _check(name, about, getattr(self, name))
        least = {"DDIM": 2, "UniPC": 3}.get(self.sampler, 1)
        if self.steps < least:
            raise JobError("steps", f"{self.sampler} needs at least {least} steps, not {self.steps}")
        if self.config.cfgpp and self.sampler not in RENOISING:
            raise JobError("cfgpp", f"CFG++ cannot act with {self.sampler}; use {', '.join(RENOISING)}")


def _fields() -> Mapping[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(Job) if "option" in field.metadata}


OPTIONS: Mapping[str, Option] = {name: field.metadata["option"] for name, field in _fields().items()}
DEFAULTS: Mapping[str, Any] = {name: field.default for name, field in _fields().items()}


def _check(name: str, about: Option, value: Any) -> None:
    """Raise JobError unless `value` lies in the range of its field."""
    if about.choices and value not in about.choices:
        raise JobError(name, f"{value!r} is not one of: {', '.join(about.choices)}")
    if isinstance(value, str):
        return
    if not math.isfinite(value) or not about.minimum <= value <= about.maximum:
        raise JobError(name, f"{value} is outside {about.minimum} to {about.maximum}")
    if about.step == 8 and value % 8:
        raise JobError(name, f"{value} is no multiple of 8; the nearest is {max(8, round(value / 8) * 8)}")
