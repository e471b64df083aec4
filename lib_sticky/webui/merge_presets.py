"""Block weights: the 26 names of the editor, and shapes to start from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from lib_sticky.config import ConfigError
from lib_sticky.merge import RecipeError
from lib_sticky.merge.block_weights import from_numbers

NAMES = ("BASE", *(f"IN{i:02}" for i in range(12)), "M00", *(f"OUT{i:02}" for i in range(12)))


def _shape(height: Callable[[float], float], base: float) -> tuple[float, ...]:
    """BASE, then `height` at 25 points from 0 (IN00) over 0.5 (M00) to 1 (OUT11)."""
    return (base, *(round(height(index / 24), 3) for index in range(25)))


def _flat(height: float, base: float) -> tuple[float, ...]:
    return (base, *([height] * 25))


PRESETS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "All 0.5": _flat(0.5, 0.5),
        "All 0": _flat(0.0, 0.0),
        "All 1": _flat(1.0, 1.0),
        "Rising": _shape(lambda at: at, 0.5),
        "Falling": _shape(lambda at: 1 - at, 0.5),
        "Rising, smooth": _shape(lambda at: (1 - math.cos(math.pi * at)) / 2, 0.5),
        "Falling, smooth": _shape(lambda at: (1 + math.cos(math.pi * at)) / 2, 0.5),
        "Peak in the middle": _shape(lambda at: 1 - abs(2 * at - 1), 0.5),
        "Valley in the middle": _shape(lambda at: abs(2 * at - 1), 0.5),
        "IN blocks only": _shape(lambda at: float(at < 0.5), 0.0),
        "M00 only": _shape(lambda at: float(at == 0.5), 0.0),
        "OUT blocks only": _shape(lambda at: float(at > 0.5), 0.0),
        "UNet 0.5, text encoder 0": _flat(0.5, 0.0),
    }
)


def numbers(text: str) -> tuple[float, ...]:
    """Read the lists that block-merge tools exchange into the editor's 26 numbers; blocks not in the list are 0."""
    try:
        named = from_numbers([float(part) for part in text.replace(",", " ").split()])
    except (ValueError, RecipeError) as error:
        raise ConfigError("Block weights as numbers", str(error)) from error
    return tuple(named.blocks.get(name, 0.0) for name in NAMES)


def line(values: Sequence[float]) -> str:
    """The 26 numbers as one line that `numbers` reads."""
    return ",".join(f"{value:g}" for value in values)
