"""Who makes pictures for long jobs: the host's own pipeline, asked for one batch at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from lib_sticky.config import Config
from lib_sticky.option import Option, check, option

NATIVE = 0
"""A width or height of 0 is the size that the model was trained at."""


@dataclass(frozen=True)
class Sampling:
    """How every picture of a job is sampled. ConfigError names a field out of range."""

    sampler: str = option("Euler", label="Sampler", help="CFG++ needs Euler or DDIM.")
    steps: int = option(20, label="Steps", help="Sampling steps.", minimum=1, maximum=150, step=1)
    width: int = option(NATIVE, label="Width", help="0: the model's own size.", minimum=0, maximum=2048, step=8)
    height: int = option(NATIVE, label="Height", help="0: the model's own size.", minimum=0, maximum=2048, step=8)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            about: Option | None = field.metadata.get("option")
            if about is not None:
                check(field.name, about, field.default, getattr(self, field.name))


@dataclass(frozen=True)
class Settings(Sampling):
    """How every picture of a batch is made, whatever its preset and seed."""

    cfg: float = option(
        3.0, label="CFG scale", help="For presets that name none, such as U5.", minimum=1, maximum=30, step=0.5
    )


@dataclass(frozen=True)
class Prompts:
    """The texts of a batch as a user types them."""

    positive: str = ""
    negative: str = ""


NO_PROMPTS = Prompts()


@dataclass(frozen=True)
class Model:
    """The model that the next batch is made with; `name` as `Painted` has it."""

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Batch:
    """What is painted at once: one picture for each of the seeds, which follow one another."""

    settings: Settings
    config: Config
    seeds: range
    prompts: Prompts = NO_PROMPTS


@dataclass(frozen=True)
class Painted:
    """One batch: pictures with their infotexts, what acted in words, and the model.

    judged: what is true of each picture besides what can be measured. rule: what counts as worth keeping, in words.
    """

    pictures: Sequence[Image.Image]
    infotexts: Sequence[str]
    acted: str
    model: str
    model_hash: str
    judged: Sequence[Mapping[str, bool]]
    rule: str


class Painter(Protocol):
    """Every method may be called from any thread."""

    def samplers(self) -> list[str]:
        """The samplers that `Settings` may name."""
        ...

    def model(self) -> Model:
        """The chosen model; ConfigError where there is none. May take as long as hashing its file."""
        ...

    def check(self, settings: Settings, config: Config) -> None:
        """Raise ConfigError for a combination that cannot be made here."""
        ...

    def paint(self, batch: Batch, stopped: Callable[[], bool]) -> Painted | None:
        """Make one batch, after whatever else the host is making; None where it was stopped."""
        ...

    def interrupt(self) -> None:
        """End the batch that is being made, if one is, at its next step."""
        ...


class Sender(Protocol):
    """Where the settings of a picture can be sent, from a text box that holds its infotext."""

    @property
    def place(self) -> str:
        """The name of the tab that they are sent to."""
        ...

    @property
    def hires(self) -> bool:
        """Whether there is a hires pass to send them to."""
        ...

    def bind(self, button: Any, text: Any) -> None:
        """Let `button` send what `text` holds; both are the page's components."""
        ...
