"""Terms on an interval of the steps, written as A1111's own prompt editing."""

from __future__ import annotations


def on_interval(terms: str, start: float, stop: float, *, hires: bool = False) -> str:
    """`terms` present from `start` to `stop` (fractions of the steps), as `[:terms:start]` and `[terms::stop]`.

    A1111 counts the steps of a hires pass as fractions 1 to 2 (modules/prompt_parser.py), hence `hires`.
    The whole interval needs no editing, and an empty one leaves no terms.
    """
    if not terms or start >= stop:
        return ""
    offset = 1 if hires else 0
    if stop < 1:
        terms = f"[{terms}::{_number(stop + offset)}]"
    if start > 0:
        terms = f"[:{terms}:{_number(start + offset)}]"
    return terms


def _number(value: float) -> str:
    """Up to four decimals, always with a point: A1111 reads a number without one as a step."""
    text = f"{value:.4f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
