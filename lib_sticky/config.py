"""Every option of the extension, once: UI, API, infotext, XYZ axes and presets are all made from these fields."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

MAX_TEXT = 20_000
"""Longest text, in characters, that a field takes; A1111 itself becomes unusable long before."""


class ConfigError(ValueError):
    """A field that cannot be used; `field` names it.

    `status_code` and `detail` are instance attributes because both hosts' API error handlers read them from there
    (A1111 modules/api/api.py, `handle_exception`).
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"Sticky: {field}: {message}")
        self.field = field
        self.status_code = 422
        self.detail = str(self)


@dataclass(frozen=True)
class Option:
    """How one field is shown and checked: label and help for people, range and choices for values."""

    label: str
    help: str
    minimum: float = 0.0
    maximum: float = 1.0
    step: float = 0.01
    choices: tuple[str, ...] = ()
    lines: int = 1


def option(default: Any, **about: Any) -> Any:
    """A dataclass field with its default and its `Option`."""
    return dataclasses.field(default=default, metadata={"option": Option(**about)})


SAME_CHUNK = "same chunk"
OWN_CHUNK = "own chunk"
HIRES_SAME = "same"
HIRES_OFF = "off"


@dataclass(frozen=True)
class Config:
    """What one job is asked to do; the defaults are what an absent field means, in every version."""

    enabled: bool = option(
        False,
        label="Sticky negatives",
        help="Make the negative the positive prompt plus the undesirable terms, at every step.",
    )
    terms: str = option(
        "awful, bad hands, blurry, distorted, bad, artifacting",
        label="Undesirable terms",
        help="What the picture should be free of. Added after the copied prompt; prompt syntax works here too.",
        lines=2,
    )
    placement: str = option(
        SAME_CHUNK,
        label="Placement of the terms",
        help="Own chunk puts a BREAK before them, so that the copy is encoded exactly as in the positive.",
        choices=(SAME_CHUNK, OWN_CHUNK),
    )
    start: float = option(
        0.0,
        label="Terms start",
        help="Fraction of the steps from which the terms are in the negative; before it there is no guidance.",
    )
    stop: float = option(
        1.0,
        label="Terms stop",
        help="Fraction of the steps up to which they stay in it.",
    )
    hires: str = option(
        HIRES_SAME,
        label="Sticky in the hires pass",
        help="Same tracks the hires prompt; off uses the negative prompt as typed.",
        choices=(HIRES_SAME, HIRES_OFF),
    )

    def __post_init__(self) -> None:
        for name, about in OPTIONS.items():
            _check(name, about, getattr(self, name))
        if self.start > self.stop:
            raise ConfigError("start", f"{self.start} is after stop ({self.stop}); use a start that is not after it")


def _options() -> dict[str, Option]:
    return {field.name: field.metadata["option"] for field in dataclasses.fields(Config)}


OPTIONS: Mapping[str, Option] = _options()
DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in dataclasses.fields(Config)}


def _check(name: str, about: Option, value: Any) -> None:
    """Raise ConfigError unless `value` has the type of the field's default and lies in its range."""
    default = DEFAULTS[name]
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(name, f"{_shown(value)} is not true or false")
    elif isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(name, f"{_shown(value)} is not a number")
        if not about.minimum <= value <= about.maximum:
            raise ConfigError(name, f"{_shown(value)} is outside {about.minimum} to {about.maximum}")
    elif not isinstance(value, str):
        raise ConfigError(name, f"{_shown(value)} is not text")
    elif about.choices and value not in about.choices:
        raise ConfigError(name, f"{_shown(value)} is not one of: {', '.join(about.choices)}")
    elif len(value) > MAX_TEXT:
        raise ConfigError(name, f"{len(value)} characters are too many; {MAX_TEXT} is the most")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def parse(values: Any) -> Config:
    """The Config that a dict of field names describes; absent fields take their defaults.

    Integers are taken for numbers, and for choices as their position, so that payloads of simple clients work.

    Raises ConfigError that names the field, and for an unknown one the nearest that exists.
    """
    if not isinstance(values, Mapping):
        raise ConfigError("(whole value)", f"expected one object of field names, got {_shown(values)}")
    named = cast("Mapping[Any, Any]", values)
    return Config(**{_known(name): _plain(str(name), value) for name, value in named.items()})


def _known(name: Any) -> str:
    if name in DEFAULTS:
        return name
    near = difflib.get_close_matches(str(name)[:60], DEFAULTS, n=1, cutoff=0.0)[0]
    raise ConfigError(_shown(name), f"no such field; the nearest is {near!r}. All fields: {', '.join(DEFAULTS)}")


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
        "properties": {name: _property(name, about) for name, about in OPTIONS.items()},
    }


def _property(name: str, about: Option) -> dict[str, Any]:
    default = DEFAULTS[name]
    common = {"title": about.label, "description": about.help, "default": default}
    if isinstance(default, bool):
        return {"type": "boolean", **common}
    if isinstance(default, float):
        return {"type": "number", **common, "minimum": about.minimum, "maximum": about.maximum}
    if about.choices:
        return {"type": "string", **common, "enum": list(about.choices)}
    return {"type": "string", **common, "maxLength": MAX_TEXT}
