"""What a comparison inside a WebUI is asked for beside the job itself: how many seeds, which scales and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from lib_sticky.config import ConfigError

MOST_SEEDS = 1000
FIELDS = ("seeds", "cfg", "checkpoints", "id")


@dataclass(frozen=True)
class Asked:
    """`seeds` seeds in a row, each at every scale of `cfg` with every one of `checkpoints`; () is the job's own.

    id: by which the job is known to whoever asked, "" where nobody watches.
    """

    seeds: int = 8
    cfg: tuple[float, ...] = (7.0, 20.0)
    checkpoints: tuple[str, ...] = ()
    id: str = ""


def read(values: Any) -> Asked:
    """What a JSON object asks for. ConfigError names the bad field."""
    if not isinstance(values, Mapping):
        raise ConfigError("compare", f"expected an object with some of {', '.join(FIELDS[:-1])}")
    found = cast("Mapping[str, Any]", values)
    if unknown := sorted(set(map(str, found)) - set(FIELDS)):
        raise ConfigError(unknown[0], f"is no field of a comparison; known are {', '.join(FIELDS[:-1])}")
    plain = Asked()
    return Asked(
        _seeds(found.get("seeds", plain.seeds)),
        tuple(dict.fromkeys(_scale(value) for value in _some("cfg", found.get("cfg", plain.cfg)))),
        tuple(dict.fromkeys(_name(value) for value in _list("checkpoints", found.get("checkpoints", ())))),
        str(found.get("id", "")),
    )


def scales(text: str) -> list[float]:
    """The numbers of a text such as "7, 20". ConfigError for anything else."""
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise ConfigError("cfg", f"{text!r} is no list of numbers; write it as 7, 20") from None


def _seeds(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise ConfigError("seeds", f"{value!r} is no whole number")
    if not 1 <= value <= MOST_SEEDS:
        raise ConfigError("seeds", f"{value} is outside 1 to {MOST_SEEDS}")
    return int(value)


def _scale(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 < value <= 60:
        raise ConfigError("cfg", f"{value!r} is no CFG scale above 1 and up to 60; at 1 no negative acts")
    return float(value)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError("checkpoints", f"{value!r} is no name of a checkpoint")
    return value.strip()


def _some(field: str, value: Any) -> list[Any]:
    found = _list(field, value)
    if not found:
        raise ConfigError(field, "is empty; give at least one")
    return found


def _list(field: str, value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(field, f"{value!r} is no list")
    return list(cast("list[Any]", value))
