"""What a person should know before a sticky negative disappoints, in words."""

from __future__ import annotations

from typing import Protocol

from lib_sticky.config import Config
from lib_sticky.prompt.brackets import is_balanced
from lib_sticky.prompt.track import copied


class Prompts(Protocol):
    """The positive prompts of a batch."""

    @property
    def positive(self) -> tuple[str, ...]: ...


class Guidance(Protocol):
    """What decides whether a negative can act."""

    @property
    def cfg_scale(self) -> float: ...
    @property
    def distilled(self) -> bool: ...
    @property
    def skips(self) -> tuple[str, ...]: ...


def warnings(config: Config, prompts: Prompts, guidance: Guidance) -> list[str]:
    """One sentence for each reason why `config` acts less than its user expects; empty when all is well."""
    return [*_about_text(config, prompts), *_about_guidance(config, guidance)]


def _about_text(config: Config, prompts: Prompts) -> list[str]:
    found: list[str] = []
    if not any(copied(positive) for positive in prompts.positive):
        return ["nothing to track: the prompt is empty, so the negative prompt is used as typed"]
    if not config.terms.strip():
        found.append("there are no undesirable terms: the negative equals the prompt, which is the same as CFG 1")
    elif config.start >= config.stop:
        found.append("terms start and terms stop are equal: the terms are never in the negative")
    if not is_balanced(config.terms):
        found.append("the brackets of the undesirable terms are not balanced: weights and edits in them may spill over")
    if not all(is_balanced(positive) for positive in prompts.positive):
        found.append("the brackets of the prompt are not balanced: its emphasis may spill over into the terms")
    return found


def _about_guidance(config: Config, guidance: Guidance) -> list[str]:
    found: list[str] = []
    if abs(guidance.cfg_scale - 1) < 1e-9 and not config.cfgpp:
        found.append("CFG is 1, where a negative has no effect; try 20")
    if guidance.distilled:
        found.append("guidance is distilled into this model; a negative acts only at a CFG above 1, for twice the time")
    found.extend(guidance.skips)
    return found
