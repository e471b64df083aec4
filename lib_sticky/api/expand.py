"""A config as plain text: the prompt and negative that make the same picture on a host without the extension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lib_sticky.config import DEFAULTS, OPTIONS, SWITCHES, Config
from lib_sticky.guidance.two_scale import and_weights
from lib_sticky.prompt.branches import branches
from lib_sticky.prompt.extra_networks import strip_extra_networks
from lib_sticky.prompt.negative import tracked_text

_TEXT = ("enabled", "twoscale")
"""The switches that text can stand for."""


@dataclass(frozen=True)
class Expanded:
    """What to type, the fields that must then be as given, and what text cannot say."""

    prompt: str
    negative_prompt: str
    sticky: dict[str, Any]
    notes: tuple[str, ...]


def expanded(config: Config, prompt: str, negative: str, scale: float) -> Expanded:
    """The text that stands for `config` at a CFG scale of `scale`.

    Two-scale becomes the host's own AND, `prompt :a AND tracked negative :b` with an empty negative prompt, whose
    weights add up to 1: then A1111's sum and the Forge family's weighted mean of the parts are the same.
    """
    notes = [
        f"{OPTIONS[name].label} cannot be written as text and stays as it is."
        for name in SWITCHES
        if name not in _TEXT and getattr(config, name) != DEFAULTS[name]
    ]
    tracked = tracked_text(config, prompt, negative)
    off = {"enabled": False}
    if not config.twoscale or tracked == negative:
        return Expanded(prompt, tracked, off, tuple(notes))
    reason = _no_and(prompt, negative, scale)
    if reason:
        return Expanded(prompt, tracked, off, (*notes, f"The terms scale stays as it is: {reason}."))
    own, terms = (f"{weight:.4g}" for weight in and_weights(scale, config.twoscale))
    return Expanded(f"{prompt} :{own} AND {tracked} :{terms}", "", {**off, "twoscale": 0.0}, tuple(notes))


def _no_and(prompt: str, negative: str, scale: float) -> str:
    """Why two-scale cannot become AND; "" where it can."""
    if scale <= 0:
        return "AND needs a CFG scale above 0"
    if len(branches(strip_extra_networks(prompt))) > 1:
        return "the prompt already has parts joined by AND"
    if negative.strip():
        return "AND needs an empty negative prompt, and yours is a part of the negative"
    return ""
