"""What a field of the config is: how it is shown, and which values it takes."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

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
    """How one field is shown and checked: label and help for people, range and choices for values.

    group: the part of the panel and of the command's help that it stands in. switch: a value other than the default
    turns something on; the other fields only say how.
    """

    label: str
    help: str
    group: str = ""
    switch: bool = False
    minimum: float = 0.0
    maximum: float = 1.0
    step: float = 0.01
    choices: tuple[str, ...] = ()
    lines: int = 1


def option(default: Any, **about: Any) -> Any:
    """A dataclass field with its default and its `Option`."""
    return dataclasses.field(default=default, metadata={"option": Option(**about)})


def check(name: str, about: Option, default: Any, value: Any) -> None:
    """Raise ConfigError unless `value` has the type of the field's default and lies in its range."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ConfigError(name, f"{shown(value)} is not true or false")
    elif isinstance(default, (int, float)):
        whole = isinstance(default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise ConfigError(name, f"{shown(value)} is not a {'whole ' if whole else ''}number")
        if not about.minimum <= value <= about.maximum:
            raise ConfigError(name, f"{shown(value)} is outside {about.minimum} to {about.maximum}")
        if whole and value % about.step:
            raise ConfigError(name, f"{value} is no multiple of {about.step}")
    elif not isinstance(value, str):
        raise ConfigError(name, f"{shown(value)} is not text")
    elif about.choices and value not in about.choices:
        raise ConfigError(name, f"{shown(value)} is not one of: {', '.join(about.choices)}")
    elif len(value) > MAX_TEXT:
        raise ConfigError(name, f"{len(value)} characters are too many; {MAX_TEXT} is the most")


def shown(value: Any) -> str:
    """`value` as an error message can quote it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(name: Any, known: Iterable[str]) -> str:
    """Which of the known names was most likely meant; `known` holds at least one."""
    return difflib.get_close_matches(str(name)[:60], list(known), n=1, cutoff=0.0)[0]


def schema_of(about: Option, default: Any) -> dict[str, Any]:
    """The field as a property of a JSON Schema object."""
    common = {"title": about.label, "description": about.help, "default": default}
    if isinstance(default, bool):
        return {"type": "boolean", **common}
    if isinstance(default, float):
        return {"type": "number", **common, "minimum": about.minimum, "maximum": about.maximum}
    if about.choices:
        return {"type": "string", **common, "enum": list(about.choices)}
    return {"type": "string", **common, "maxLength": MAX_TEXT}
