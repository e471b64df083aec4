"""What is asked of a set of wrong pictures: words, CFG scales and settings, checked field by field."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lib_sticky.api.answers import known_fields
from lib_sticky.api.merge_orders import ENDING, checked_name
from lib_sticky.config import ConfigError
from lib_sticky.hosts.painter import Painter, Sampling, Settings
from lib_sticky.option import Option, option, shown
from lib_sticky.prompt.packs import PACKS, WRONG
from lib_sticky.prompt.wrong import CAPTION, EMPHASIS, SCALES, Recipe, words_in

MOST = 4096
"""Pictures that one order may ask for."""


@dataclass(frozen=True)
class Order(Sampling):
    """One set: every word once emphasised at every CFG scale. ConfigError names a field that cannot be used."""

    name: str = option(
        "wrong", label="Name", help="Of the folder. The same name with the same settings goes on where it stopped."
    )
    pack: str = option(WRONG, label="Pack", help="Words for what is wrong, unless others are given.", choices=(*PACKS,))
    words: str = option(
        "", label="Words", help="In place of the pack's, comma-separated; one at a time is emphasised.", lines=2
    )
    emphasis: float = option(
        EMPHASIS, label="Emphasis", help="Weight of that word; 1.46 is ++++.", minimum=0.0, maximum=4.0, step=0.01
    )
    cfg_from: float = option(SCALES[0], label="CFG from", help="The lowest scale.", minimum=1, maximum=30, step=0.5)
    cfg_to: float = option(SCALES[-1], label="CFG to", help="The highest scale.", minimum=1, maximum=30, step=0.5)
    cfg_step: float = option(1.0, label="CFG step", help="From one to the next.", minimum=0.5, maximum=10, step=0.5)
    count: int = option(1, label="Count", help="Pictures of each word and scale.", minimum=1, maximum=100, step=1)
    seed: int = option(1, label="First seed", help="Each picture has its own.", minimum=0, maximum=2**32 - 4097, step=1)
    prompt: str = option("", label="Prompt", help="Before the words; may be empty.", lines=2)
    negative: str = option("", label="Negative prompt", help="May be empty.", lines=2)
    caption: str = option(CAPTION, label="Caption", help="What the pictures are called: the word that is trained.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cfg_to < self.cfg_from:
            raise ConfigError("cfg_to", f"{self.cfg_to:g} is below cfg_from, {self.cfg_from:g}")
        if not words_in(self.words or PACKS[self.pack]):
            raise ConfigError("words", "there is no word in it")
        if not self.caption.strip():
            raise ConfigError("caption", "is empty; say what the pictures are to be called")
        if self.recipe.pictures > MOST:
            raise ConfigError("count", f"{self.recipe.pictures} pictures are too many for one set; {MOST} is the most")
        object.__setattr__(self, "name", plain_name(self.name))

    @property
    def recipe(self) -> Recipe:
        """The pictures one by one."""
        between = int((self.cfg_to - self.cfg_from) / self.cfg_step + 1e-9)
        scales = tuple(self.cfg_from + index * self.cfg_step for index in range(between + 1))
        words = words_in(self.words or PACKS[self.pack])
        return Recipe(words, self.emphasis, scales, self.count, self.prompt, self.seed)

    def settings(self, scale: float) -> Settings:
        """How a picture of one CFG scale is made."""
        return Settings(self.sampler, self.steps, self.width, self.height, scale)

    def told(self) -> dict[str, Any]:
        """What a manifest says of it besides the model."""
        shared = {name: getattr(self, name) for name in ("negative", "sampler", "steps", "width", "height")}
        return {**self.recipe.settings(), **shared}


OPTIONS: Mapping[str, Option] = {field.name: field.metadata["option"] for field in dataclasses.fields(Order)}
DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in dataclasses.fields(Order)}


def plain_name(name: Any) -> str:
    """A name for a folder or a LoRA that any disk takes; ConfigError for paths."""
    return checked_name(name).removesuffix(ENDING)


def read_order(body: Any, painter: Painter) -> Order:
    """Check a request's JSON; ConfigError names the bad field, and for an unknown one the nearest that exists."""
    order = Order(**known_fields(body, DEFAULTS, "a set of wrong pictures"))
    known = painter.samplers()
    if order.sampler not in known:
        raise ConfigError("sampler", f"{shown(order.sampler)} is not one of: {', '.join(known)}")
    return order
