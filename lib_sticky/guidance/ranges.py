"""The one range check that every technique's settings share."""

from __future__ import annotations

import math


def require(name: str, value: float, low: float, high: float = math.inf, *, above: bool = False) -> None:
    """Raise ValueError unless low <= value <= high (low < value with `above`); NaN is always refused."""
    inside = low < value if above else low <= value
    if not (inside and value <= high):
        bound = f"greater than {low:g}" if above else f"at least {low:g}"
        limit = "" if high == math.inf else f" and at most {high:g}"
        raise ValueError(f"{name} is {value!r}; use a number that is {bound}{limit}")
