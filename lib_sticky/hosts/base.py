"""What the rest of the project may ask of a host, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Facts:
    """What decides whether a negative can act in one pass."""

    cfg_scale: float
    distilled: bool = False
    skips: tuple[str, ...] = ()
    """Settings that leave the negative out of some steps, each in words."""


@dataclass(frozen=True)
class Texts:
    """The prompts of one batch in one pass, as the host is about to encode them, an entry per image."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    hires: bool


class Host(Protocol):
    """One WebUI, or the studio. Every method is safe to call several times."""

    name: str

    def version(self) -> str:
        """The host's own version, in its own words."""
        ...

    def texts(self, p: Any) -> Texts:
        """The prompts of the batch and pass that `p` is in."""
        ...

    def encode(self, p: Any, negatives: Sequence[str], cache: list[Any]) -> Any:
        """The schedules of `negatives` by the host's own encoder, as of the pass that `p` is in.

        `cache` is [None, None] at first and owned by the caller; the host decides what makes its content stale.
        """
        ...

    def at_step(self, schedules: Any, step: int, like: Any) -> Any:
        """The conditioning of `schedules` at model call `step` in the form, and with the rows, of `like`."""
        ...

    def cfg_scale(self, p: Any) -> float:
        """The guidance scale of the pass that `p` is in."""
        ...

    def facts(self, cfg_scale: float, p: Any = None) -> Facts:
        """What decides whether a negative acts at `cfg_scale`, by the host's settings and the job `p`, if any."""
        ...

    def count_tokens(self, text: str) -> int | None:
        """CLIP tokens of `text` without start and end, or None while no model is loaded."""
        ...

    def data_path(self) -> Path:
        """The folder in which the host keeps a user's data."""
        ...
