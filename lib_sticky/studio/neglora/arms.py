"""Five ways of using a negative LoRA: the source's three, and the two that tell its sides apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from lib_sticky.config import Config
from lib_sticky.lab.compare import Design, Setting, Way
from lib_sticky.lab.comparing import Plan
from lib_sticky.neglora_fields import BOTH_SIDES, NEGATIVE_ONLY
from lib_sticky.studio.job import Job


class Arm(Way):
    """The ways in which a negative LoRA is compared."""

    NONE = "N0"
    WORD = "N1"
    WORD_BOTH = "N2"
    BOTH = "N3"
    NEGATIVE = "N4"


ABOUT: Mapping[Way, str] = MappingProxyType(
    {
        Arm.NONE: "no negative",
        Arm.WORD: "the word",
        Arm.WORD_BOTH: "the word, LoRA on both sides",
        Arm.BOTH: "LoRA alone, both sides",
        Arm.NEGATIVE: "the word, LoRA on the negative side",
    }
)
EXPLAINED: Mapping[Way, str] = MappingProxyType(
    {
        Arm.NONE: "No negative and no LoRA: plain CFG.",
        Arm.WORD: "The word that the LoRA was trained under as the negative, without the LoRA: a placebo for the LoRA.",
        Arm.WORD_BOTH: "The word as the negative, the LoRA on both sides as WebUIs apply it: the source's own way.",
        Arm.BOTH: "No negative, the LoRA on both sides: what it does to the pictures by itself.",
        Arm.NEGATIVE: "The word as the negative, the LoRA on the negative side only: the prompt's own prediction is "
        "that of the model as it is.",
    }
)
DESIGN = Design(
    ABOUT,
    (
        (Arm.WORD, Arm.NONE),
        (Arm.WORD_BOTH, Arm.NONE),
        (Arm.BOTH, Arm.NONE),
        (Arm.NEGATIVE, Arm.NONE),
        (Arm.WORD_BOTH, Arm.WORD),
        (Arm.NEGATIVE, Arm.WORD),
        (Arm.NEGATIVE, Arm.WORD_BOTH),
    ),
)


@dataclass(frozen=True)
class Comparison:
    """What is compared: picture i is made of prompt i (and around again) from seed base.seed + i, in every arm."""

    base: Job
    prompts: tuple[str, ...]
    settings: tuple[Setting, ...]
    pictures: int
    word: str
    lora: str
    strength: float

    @property
    def plan(self) -> Plan:
        """What is made in which order, one picture at a time, since each has a prompt of its own."""
        return Plan(self.settings, ABOUT, self.base.seed, self.pictures, 1)

    def job(self, setting: Setting, arm: Way, seed: int) -> Job:
        """The job of one picture."""
        side = BOTH_SIDES if arm in (Arm.WORD_BOTH, Arm.BOTH) else NEGATIVE_ONLY
        uses = arm in (Arm.WORD_BOTH, Arm.BOTH, Arm.NEGATIVE)
        config = Config(neglora=self.lora, neglora_strength=self.strength, neglora_side=side) if uses else Config()
        return replace(
            self.base, prompt=self.prompts[(seed - self.base.seed) % len(self.prompts)], seed=seed, batch=1,
            negative=self.word if arm in (Arm.WORD, Arm.WORD_BOTH, Arm.NEGATIVE) else "", cfg=setting.cfg,
            steps=setting.steps, width=setting.width, height=setting.height, config=config,
        )  # fmt: skip
