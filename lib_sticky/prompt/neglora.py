"""Negative LoRAs as text: `<neglora:name:0.8>` in a negative prompt, and `name:0.8, other` in a field."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

TAG = "<neglora:"
_TAG = re.compile(TAG + r"([^<>]*)>")
_FILE = ".safetensors"


class NegLoraError(ValueError):
    """A negative LoRA that is written in a way that cannot be understood, in words."""


@dataclass(frozen=True)
class NegLora:
    """A LoRA by the name that the user gave it, and how strongly it acts."""

    name: str
    strength: float


def taken(negative: str) -> tuple[str, tuple[NegLora, ...]]:
    """A negative prompt without its tags, and the LoRAs that they name; a tag without a strength is 1.

    Raises NegLoraError for a tag without a name or with a strength that is no number.
    """
    found = tuple(_one(match[1], 1.0) for match in _TAG.finditer(negative))
    return _TAG.sub("", negative), found


def listed(field: str, strength: float) -> tuple[NegLora, ...]:
    """The LoRAs that a field lists; those without a strength of their own have `strength`.

    Raises NegLoraError as `taken` does.
    """
    return tuple(_one(entry, strength) for entry in field.split(",") if entry.strip())


def _one(written: str, strength: float) -> NegLora:
    name, colon, number = (part.strip() for part in written.rpartition(":"))
    if not colon or number.endswith(_FILE):  # The colon of a drive letter is none of ours.
        name, number = written.strip(), ""
    if not name:
        raise NegLoraError(f"{written!r} names no LoRA; write the file's name, such as wrong:0.8")
    try:
        found = float(number) if number else strength
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise NegLoraError(f"{written!r}: {number!r} is no strength; write a number after the colon, such as wrong:0.8")
    return NegLora(name, found)
