"""The parts of a composed prompt: A1111's AND, neutral-prompt's AND_PERP and kin, region separators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SEPARATOR = re.compile(r"\b(AND(?:_[A-Z]+)?|ADD(?:COMM|BASE|COL|ROW))\b")
"""A1111's AND; neutral-prompt's AND_PERP, AND_SALT, AND_TOPK and any later AND_…; Regional Prompter's ADD…."""

_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?|\d*\.\d+)\s*\Z")


@dataclass(frozen=True)
class Branch:
    """One part: its text, and its weight as written (None when none was)."""

    text: str
    weight: float | None


def branches(text: str) -> list[Branch]:
    """The parts of `text` in order, each its trailing `:weight` taken off (A1111's `get_multicond_prompt_list`)."""
    return [_branch(part) for part in _parts(text)]


def _parts(text: str) -> Iterator[str]:
    position = 0
    for match in SEPARATOR.finditer(text):
        yield text[position : match.start()]
        position = match.end()
    yield text[position:]


def _branch(text: str) -> Branch:
    head, colon, tail = text.rpartition(":")
    if colon and _NUMBER.match(tail):
        return Branch(head.strip(), float(tail))
    return Branch(text.strip(), None)
