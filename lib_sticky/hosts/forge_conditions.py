"""Compiled conditionings of the Forge family: entries for further rows, and a mark that tells rows apart in a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_sticky.guidance.conditioning import CROSSATTN
from lib_sticky.guidance.passes import Pass

Name = tuple[Pass, int]
"""A pass, and which part of an AND prompt."""

Entry = dict[str, Any]
"""As `compile_conditions` makes it: cross_attn, model_conds and so on, of a row for each image."""

MARK = "sticky_rows"
"""The entry of `model_conds` under which the mark travels to the model call."""


@dataclass(frozen=True)
class _Mark:
    """Batched as the hosts batch any condition, it comes out as the names of the entries in the batch's order."""

    name: Name

    def process_cond(self, **_about: Any) -> _Mark:
        return self

    def can_concat(self, _other: Any) -> bool:
        return True

    def concat(self, others: Sequence[_Mark]) -> tuple[Name, ...]:
        return (self.name, *(other.name for other in others))

    def size(self) -> list[int]:
        return [1]


def marked(entry: Entry, name: Name) -> Entry:
    """The entry with its name on it."""
    return {**entry, "model_conds": {**entry["model_conds"], MARK: _Mark(name)}}


def weightless(entry: Entry) -> Entry:
    """The entry as one that is run but leaves no trace in the weighted mean that the host makes of its list."""
    return {**entry, "strength": 0.0}


def with_text(entry: Entry, text: Any) -> Entry:
    """The entry with another text, a tensor or SDXL's dict, in the host's own classes; sizes, masks, control stay."""
    crossattn = text[CROSSATTN] if isinstance(text, Mapping) else text
    conds = dict(entry["model_conds"])
    conds["c_crossattn"] = type(conds["c_crossattn"])(crossattn)
    other: Entry = {"cross_attn": crossattn}
    if isinstance(text, Mapping):
        conds["y"] = type(conds["y"])(text["vector"])
        other["pooled_output"] = text["vector"]
    return {**entry, **other, "model_conds": conds}
