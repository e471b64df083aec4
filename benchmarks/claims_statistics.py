"""The log of the study as figures: of a cell, and of the pairs of two cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from benchmarks.claims_plan import Claim
from lib_sticky.lab.intervals import Estimate, bootstrap
from lib_sticky.lab.significance import holm, mcnemar, sign_test

COLUMNS = ("right", "clean", "nothing there", "clipped", "saturation")
"""What each claim is tested on, chosen before anything was measured: one row of the table of claims has no others."""


@dataclass(frozen=True)
class Made:
    """One block of one cell: what is true of each picture, its figures, and (step, ratio, alpha) of its probes."""

    cell: str
    block: int
    scale: float
    seconds: float
    said: Sequence[Mapping[str, bool]]
    measured: Sequence[Mapping[str, float]]
    probes: Sequence[tuple[int, float, float]]


Log = Mapping[str, Mapping[int, Made]]
"""By the name of the cell and the number of the block."""


@dataclass(frozen=True)
class Found:
    """One figure of one pair: its difference, p, p corrected for all figures of all claims, and how many pairs."""

    change: Estimate
    p: float
    pairs: int
    is_share: bool
    corrected: float = 1.0


def by_number(log: Log, cell: str, name: str) -> dict[int, float]:
    """One figure by number of the picture; yes is 1 and no is 0."""
    found: dict[int, float] = {}
    for block, made in log.get(cell, {}).items():
        for index, (said, measured) in enumerate(zip(made.said, made.measured, strict=True)):
            values = {**measured, **said}
            if name in values:
                found[block * len(made.said) + index] = float(values[name])
    return found


def is_share(log: Log, cell: str, name: str) -> bool:
    """Whether `name` is true of a picture or not, rather than a number."""
    return any(name in made.said[0] for made in log.get(cell, {}).values())


def compared(log: Log, pair: tuple[str, str], half: Sequence[bool] | None) -> dict[str, Found]:
    """Every figure of COLUMNS, of the pictures that both cells have."""
    found: dict[str, Found] = {}
    for name in COLUMNS:
        first, second = (by_number(log, cell, name) for cell in pair)
        both = [number for number in first if number in second and (half is None or half[number])]
        if not both:
            continue
        changes = [first[number] - second[number] for number in both]
        share = is_share(log, pair[0], name)
        p = mcnemar(changes.count(1), changes.count(-1)) if share else sign_test(changes)
        found[name] = Found(bootstrap(changes), p, len(both), share)
    return found


Key = tuple[Claim, tuple[str, str]]
"""A claim and one of its pairs."""


def holm_over(found: Mapping[Key, dict[str, Found]]) -> dict[Key, dict[str, Found]]:
    """Holm's correction over every figure of every claim."""
    places = [(key, name) for key, figures in found.items() for name in figures]
    corrected = holm([found[key][name].p for key, name in places])
    for (key, name), p in zip(places, corrected, strict=True):
        found[key][name] = replace(found[key][name], corrected=p)
    return dict(found)
