"""What the rest of the project may ask of a host, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lib_sticky.guidance.combine import Record
from lib_sticky.guidance.selection import Selection

if TYPE_CHECKING:
    from PIL import Image

    from lib_sticky.hosts.watch import JobWatch, PassWatch


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


class Guiding(Protocol):
    """The techniques at work on one sampling pass.

    refused: what cannot act in it, in words. owner: who else combined the predictions, and how, in words.
    sides_differ: set before each call; one conditioning is predicted differently on the two sides.
    """

    sides_differ: bool
    refused: tuple[str, ...]
    records: list[Record]
    owner: str

    def before(self, params: Any, empty: Callable[[], Any]) -> None:
        """Plan one model call; `params` is the host's CFGDenoiserParams.

        empty: gives the conditioning of the empty prompt, a row for each image.
        """
        ...


class Host(Protocol):
    """One WebUI, or the studio. Every method is safe to call several times."""

    name: str

    def version(self) -> str:
        """The host's own version, in its own words."""
        ...

    def texts(self, p: Any) -> Texts:
        """The prompts of the batch and pass that `p` is in."""
        ...

    def encode(self, p: Any, texts: Sequence[str], cache: list[Any], *, negative: bool = True) -> Any:
        """The schedules of `texts` by the host's own encoder, as of the pass that `p` is in.

        negative: encoded as negatives, of which SDXL turns an empty one into zeros.
        `cache` is [None, None] at first and owned by the caller; the host decides what makes its content stale.
        """
        ...

    def at_step(self, schedules: Any, step: int, like: Any) -> Any:
        """The conditioning of `schedules` at model call `step` in the form, and with the rows, of `like`."""
        ...

    def encode_prompts(self, p: Any, prompts: Sequence[str], cache: list[Any]) -> Any:
        """As `encode`, for the prompts themselves, parts of AND prompts included."""
        ...

    def prompts_at_step(self, prompts: Any, step: int) -> Any:
        """The conditioning of what `encode_prompts` made, in the form in which the denoiser is given it."""
        ...

    def guide(self, p: Any, selection: Selection, scale: float | None, *, untitled: bool) -> Guiding:
        """Let the techniques act on the pass that is about to be sampled.

        scale: the CFG scale to use, None for the host's own. untitled: the prompt's parts do not count.
        """
        ...

    def watch(self, p: Any, watch: JobWatch) -> PassWatch:
        """Let `watch` see the pass that is about to be sampled."""
        ...

    def decoded(self, latent: Any) -> Image.Image:
        """The picture that the VAE makes of one latent [C, h, w], a tensor or an array."""
        ...

    def load(self) -> None:
        """Load the model that is chosen, if that has not happened yet."""
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
