"""Every option of the extension, once: UI, API, infotext, XYZ axes and presets are all made from these fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from lib_sticky.guidance_fields import GuidanceFields
from lib_sticky.negative_fields import NegativeFields
from lib_sticky.neglora_fields import NegLoraFields
from lib_sticky.option import ConfigError, Option, check, nearest, option, schema_of, shown
from lib_sticky.proof_fields import ProofFields

STICKY = "Sticky negatives"
SAME_CHUNK = "same chunk"
OWN_CHUNK = "own chunk"
HIRES_SAME = "same"
HIRES_OFF = "off"


@dataclass(frozen=True)
class StickyFields:
    """The tracked negative."""

    enabled: bool = option(
        False,
        label="Sticky negatives",
        help="Make the negative the positive prompt plus the undesirable terms, at every step.",
        group=STICKY,
        switch=True,
    )
    terms: str = option(
        "awful, bad hands, blurry, distorted, bad, artifacting",
        label="Undesirable terms",
        help="What the picture should be free of. Added after the copied prompt; prompt syntax works here too.",
        group=STICKY,
        lines=2,
    )
    placement: str = option(
        SAME_CHUNK,
        label="Placement of the terms",
        help="Own chunk puts a BREAK before them and your own negative: the copy is encoded as in the positive.",
        group=STICKY,
        choices=(SAME_CHUNK, OWN_CHUNK),
    )
    start: float = option(
        0.0,
        label="Terms start",
        help="Fraction of the steps from which the terms are in the negative; before it there is no guidance.",
        group=STICKY,
    )
    stop: float = option(
        1.0,
        label="Terms stop",
        help="Fraction of the steps up to which they stay in it.",
        group=STICKY,
    )
    hires: str = option(
        HIRES_SAME,
        label="Sticky in the hires pass",
        help="Same tracks the hires prompt; off uses the negative prompt as typed.",
        group=STICKY,
        choices=(HIRES_SAME, HIRES_OFF),
    )


@dataclass(frozen=True)
class Config(ProofFields, NegLoraFields, NegativeFields, GuidanceFields, StickyFields):
    """What one job is asked to do; the defaults are what an absent field means, in every version.

    Fields are only ever added at the end: the positions of the panel's components, which old API payloads use, are
    theirs.
    """

    def __post_init__(self) -> None:
        for name, about in OPTIONS.items():
            check(name, about, DEFAULTS[name], getattr(self, name))
        for start, stop in INTERVALS:
            first, last = getattr(self, start), getattr(self, stop)
            if first > last:
                raise ConfigError(start, f"{first} is after {stop} ({last}); use a start that is not after it")

    @property
    def is_on(self) -> bool:
        """Whether the job is asked for anything at all."""
        return any(getattr(self, name) != DEFAULTS[name] for name in SWITCHES)


def _options() -> dict[str, Option]:
    return {field.name: field.metadata["option"] for field in dataclasses.fields(Config)}


OPTIONS: Mapping[str, Option] = _options()
DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in dataclasses.fields(Config)}
SWITCHES = tuple(name for name, about in OPTIONS.items() if about.switch)
"""The fields that turn something on by themselves."""

INTERVALS = tuple((name, name[:-5] + "stop") for name in OPTIONS if name.endswith("start"))
"""The pairs of fields of which the first may not be after the second."""


def in_group(group: str) -> tuple[str, ...]:
    """The names of the fields of one group, in order."""
    return tuple(name for name, about in OPTIONS.items() if about.group == group)


def parse(values: Any) -> Config:
    """The Config that a dict of field names describes; absent fields take their defaults.

    Integers are taken for numbers, and for choices as their position, so that payloads of simple clients work.

    Raises ConfigError that names the field, and for an unknown one the nearest that exists.
    """
    if not isinstance(values, Mapping):
        raise ConfigError("(whole value)", f"expected one object of field names, got {shown(values)}")
    named = cast("Mapping[Any, Any]", values)
    return Config(**{_known(name): _plain(str(name), value) for name, value in named.items()})


def _known(name: Any) -> str:
    if name in DEFAULTS:
        return name
    near = nearest(name, DEFAULTS)
    raise ConfigError(shown(name), f"no such field; the nearest is {near!r}. GET /sticky/v1/schema lists all of them")


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        choices = OPTIONS[name].choices
        if choices and 0 <= value < len(choices):
            return choices[value]
        if isinstance(DEFAULTS[name], float) and abs(value) < 1 << 53:
            return float(value)
    return value


def changed(config: Config) -> dict[str, Any]:
    """The fields of `config` that differ from their defaults."""
    return {name: getattr(config, name) for name, default in DEFAULTS.items() if getattr(config, name) != default}


def schema() -> dict[str, Any]:
    """The fields as a JSON Schema object (draft 2020-12), for the schema route and for clients."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sticky",
        "type": "object",
        "additionalProperties": False,
        "properties": {name: schema_of(about, DEFAULTS[name]) for name, about in OPTIONS.items()},
    }
