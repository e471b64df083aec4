"""The negative that a config asks for, as text: what every host encodes, what the preview shows."""

from __future__ import annotations

from lib_sticky.config import HIRES_OFF, OWN_CHUNK, Config
from lib_sticky.prompt.interval import on_interval
from lib_sticky.prompt.track import track


def acts(config: Config, *, hires: bool = False) -> bool:
    """Whether `config` changes the negative of this pass at all."""
    return config.enabled and not (hires and config.hires == HIRES_OFF)


def tracked_text(config: Config, positive: str, negative: str, *, hires: bool = False) -> str:
    """The negative prompt of one image in the first or hires pass; `negative` itself where `config` does not act."""
    if not acts(config, hires=hires):
        return negative

    def edit(tail: str) -> str:
        return on_interval(tail, config.start, config.stop, hires=hires)

    return track(positive, negative, config.terms, own_chunk=config.placement == OWN_CHUNK, edit=edit)
