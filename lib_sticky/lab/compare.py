"""The arms of a same-seed comparison, and the paired differences between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

import numpy as np

from .contrast import is_blank
from .intervals import Estimate, bootstrap, wilson
from .planes import Planes
from .significance import LEAST_PICTURES, holm, mcnemar, sign_test, verdict

BLANK = "blank"
BLANK_BELOW = 0.02
"""A picture whose channels spread less than this (5 of 255) about their means shows nothing, whatever its colour."""


def blank(planes: Planes) -> bool:
    """Whether nothing is to be seen: a plain ground of any colour is blank, as black is."""
    return is_blank(planes, BLANK_BELOW)


class Way(str, Enum):
    """One way of making the same seed's picture; every kind of comparison has its own."""


class Arm(Way):
    """The ways in which a sticky negative is compared with others."""

    EMPTY = "A0"
    TERMS = "A1"
    STICKY = "A2"
    PLACEBO = "A3"
    MATCHED = "A4"


ABOUT: Mapping[Way, str] = MappingProxyType(
    {
        Arm.EMPTY: "empty negative",
        Arm.TERMS: "terms only",
        Arm.STICKY: "sticky",
        Arm.PLACEBO: "placebo",
        Arm.MATCHED: "CFG matched",
    }
)
EXPLAINED: Mapping[Way, str] = MappingProxyType(
    {
        Arm.EMPTY: "No negative: plain CFG.",
        Arm.TERMS: "The undesirable terms alone as the negative, as people usually write it.",
        Arm.STICKY: "The prompt plus the undesirable terms as the negative.",
        Arm.PLACEBO: "The prompt plus as many tokens of words that mean nothing: what the form alone does.",
        Arm.MATCHED: "No negative, at the CFG scale that pushes as far as A2: what the size of the push alone does.",
    }
)
COMPARISONS = (
    (Arm.TERMS, Arm.EMPTY),
    (Arm.STICKY, Arm.EMPTY),
    (Arm.PLACEBO, Arm.EMPTY),
    (Arm.MATCHED, Arm.EMPTY),
    (Arm.STICKY, Arm.PLACEBO),
    (Arm.STICKY, Arm.MATCHED),
)
"""(arm, reference). The last two decide: a sticky negative that does no more than they do is not what did it."""


@dataclass(frozen=True)
class Design:
    """A kind of comparison: what its arms are called, and which of them are held against which others."""

    about: Mapping[Way, str]
    comparisons: tuple[tuple[Way, Way], ...]

    @property
    def plain(self) -> Way:
        """The arm whose own figures are shown."""
        return next(iter(self.about))


STICKY = Design(ABOUT, COMPARISONS)


@dataclass(frozen=True)
class Setting:
    """What all arms of one part of a comparison share; width and height in pixels.

    model: the checkpoint, "" where all parts have the same one.
    """

    cfg: float
    steps: int
    width: int
    height: int
    model: str = ""

    @property
    def name(self) -> str:
        """Fit for a folder."""
        model = re.sub(r"[^A-Za-z0-9._-]+", "-", self.model)
        return f"cfg{self.cfg:g}-{self.steps}steps-{self.width}x{self.height}{model and '-' + model}"

    @property
    def label(self) -> str:
        """Fit for a heading."""
        return f"CFG {self.cfg:g}, {self.steps} steps, {self.width}x{self.height}{self.model and ', ' + self.model}"


@dataclass(frozen=True)
class Taken:
    """One picture of a comparison: its file, its metrics, and what is true of it or not (`BLANK` among that)."""

    setting: Setting
    arm: Way
    seed: int
    file: str
    measured: Mapping[str, float]
    said: Mapping[str, bool]


@dataclass(frozen=True)
class Delta:
    """One comparison: arm minus reference, of the seeds that both have.

    difference: median of the differences of a metric, or the difference of two shares, with its 95 % interval by
    bootstrap over pairs. p: exact sign test, or McNemar's for shares. corrected: after Holm over all comparisons, which
    is when the verdict is given.
    """

    setting: Setting
    name: str
    arm: Way
    reference: Way
    pairs: int
    difference: Estimate
    p: float
    corrected: float = 1.0
    verdict: str = ""


def deltas(taken: Sequence[Taken], design: Design = STICKY) -> list[Delta]:
    """Every metric and share of every setting in every comparison of `design`, corrected for their number."""
    found = [each for setting in settings(taken) for each in _of_setting(taken, setting, design)]
    corrected = holm([each.p for each in found])
    return [
        replace(each, corrected=p, verdict=verdict(each.difference, p, each.pairs))
        for each, p in zip(found, corrected, strict=True)
    ]


def settings(taken: Sequence[Taken]) -> list[Setting]:
    """The settings that occur, in order of first appearance."""
    return list(dict.fromkeys(each.setting for each in taken))


def cell(taken: Sequence[Taken], setting: Setting, arm: Way) -> list[Taken]:
    """The pictures of one arm under one setting."""
    return [each for each in taken if each.setting == setting and each.arm is arm]


def middle(pictures: Sequence[Taken], metric: str) -> float:
    """Median of a metric over a cell. ValueError for an empty cell."""
    if not pictures:
        raise ValueError(f"no picture to take the median {metric} of")
    return float(np.median([each.measured[metric] for each in pictures]))


def share(pictures: Sequence[Taken], name: str) -> Estimate:
    """Of how many pictures of a cell `name` is true, with the Wilson interval."""
    return wilson(sum(each.said[name] for each in pictures), len(pictures))


def refusal(found: Sequence[Delta]) -> str:
    """Why no verdict is given, in words; "" where every comparison has enough pictures."""
    fewest = min((each.pairs for each in found), default=0)
    if fewest >= LEAST_PICTURES:
        return ""
    return (
        f"No verdict. Pictures in the smallest cell: {fewest:,}; a verdict needs at least {LEAST_PICTURES:,}, since "
        "fewer cannot tell a difference of a few points from chance. The figures below describe these pictures and "
        "prove nothing about the next ones."
    )


def _of_setting(taken: Sequence[Taken], setting: Setting, design: Design) -> Iterator[Delta]:
    for arm, reference in design.comparisons:
        second = {each.seed: each for each in cell(taken, setting, reference)}
        pairs = [(one, second[one.seed]) for one in cell(taken, setting, arm) if one.seed in second]
        if not pairs:
            continue
        for name in pairs[0][0].said:
            answers = [(one.said[name], other.said[name]) for one, other in pairs]
            change = bootstrap([float(one) - float(other) for one, other in answers])
            p = mcnemar(sum(a and not b for a, b in answers), sum(b and not a for a, b in answers))
            yield Delta(setting, name, arm, reference, len(pairs), change, p)
        for name in pairs[0][0].measured:
            change = [one.measured[name] - other.measured[name] for one, other in pairs]
            found = bootstrap(change, np.median)
            yield Delta(setting, name, arm, reference, len(pairs), found, sign_test(change))
