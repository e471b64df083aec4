"""How many pictures of a set are worth keeping, which are nearly alike, and how two sets on the same seeds differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from .diversity import mean_distance, similarity, vendi
from .intervals import Estimate, wilson
from .likeness import hash_distance, perceptual_hash
from .pictures import Floats, eight_bit, lab, shrink
from .significance import holm, mcnemar

NEAR = 6
"""Hashes of 64 bits that differ in so many or fewer are those of near-duplicates."""

VENDI_SCALE = 0.25
"""Feature distance over which two pictures count as different."""


@dataclass(frozen=True)
class Drawn:
    """One picture: its seed, whether it is worth keeping, its perceptual hash."""

    seed: int
    kept: bool
    hash: int


@dataclass(frozen=True)
class Difference:
    """Two arms on the seeds that both have: on how many only one kept its picture, and McNemar's exact p.

    corrected: p after Holm, over all pairs of arms.
    """

    first: str
    second: str
    seeds: int
    only_first: int
    only_second: int
    p: float
    corrected: float = 1.0

    @property
    def sentence(self) -> str:
        """The difference in words."""
        return (
            f"{self.first} against {self.second}: only {self.first} kept {self.only_first} seeds, only {self.second} "
            f"kept {self.only_second}; McNemar p {self.p:.3g}"
        )


def drawn(seed: int, kept: bool, picture: Floats) -> Drawn:
    """What is remembered of a picture."""
    return Drawn(seed, kept, perceptual_hash(picture))


def share_kept(pictures: Sequence[Drawn]) -> Estimate:
    """The yield with its 95% Wilson interval."""
    return wilson(sum(each.kept for each in pictures), len(pictures))


def duplicates(pictures: Sequence[Drawn]) -> dict[int, int]:
    """For each seed whose picture is nearly that of an earlier one, the earlier seed."""
    found: dict[int, int] = {}
    for i, each in enumerate(pictures):
        like = next((other.seed for other in pictures[:i] if hash_distance(each.hash, other.hash) <= NEAR), None)
        if like is not None:
            found[each.seed] = like
    return found


def diversity(vectors: Sequence[Floats]) -> tuple[float, float]:
    """Mean distance of all pairs of `features`, and the effective number of different pictures (1 to n)."""
    return mean_distance(vectors), vendi(similarity(vectors, VENDI_SCALE))


def compared(first: Sequence[Drawn], second: Sequence[Drawn]) -> tuple[int, int, float]:
    """Seeds that only the first and only the second arm kept, and McNemar's exact p. ValueError on other seeds."""
    if [each.seed for each in first] != [each.seed for each in second]:
        raise ValueError("two presets can only be compared on the same seeds")
    pairs = list(zip(first, second, strict=True))
    only_first = sum(a.kept and not b.kept for a, b in pairs)
    only_second = sum(b.kept and not a.kept for a, b in pairs)
    return only_first, only_second, mcnemar(only_first, only_second)


def palette(pictures: Sequence[Floats], colours: int = 8) -> list[tuple[int, int, int]]:
    """The colours of a set in 8-bit RGB, the most frequent first: k-means in CIE L*a*b* over 16 x 16 thumbnails."""
    thumbnails = np.concatenate([shrink(eight_bit(picture), 16).reshape(-1, 3) for picture in pictures])
    points = lab(thumbnails[None])[0]
    order = np.argsort(points[:, 0], kind="stable")
    centres = points[order[np.linspace(0, len(order) - 1, colours).astype(int)]]
    nearest = np.zeros(len(points), dtype=int)
    for _ in range(12):
        nearest = ((points[:, None] - centres[None]) ** 2).sum(-1).argmin(axis=1)
        centres = np.stack(
            [points[nearest == i].mean(0) if (nearest == i).any() else centres[i] for i in range(colours)]
        )
    counts = np.bincount(nearest, minlength=colours)
    found = [np.round(thumbnails[nearest == i].mean(0)) for i in np.argsort(-counts) if counts[i]]
    return [(int(red), int(green), int(blue)) for red, green, blue in found]


def sentence(name: str, pictures: Sequence[Drawn]) -> str:
    """The yield of a preset in words."""
    share = share_kept(pictures)
    kept = sum(each.kept for each in pictures)
    return (
        f"{name}: yield {share.value:.3f}, {kept} of {len(pictures)}, 95% interval {share.low:.3f} to {share.high:.3f}"
    )


def differences(arms: Mapping[str, Sequence[Drawn]]) -> list[Difference]:
    """Every pair of arms, on the seeds that both have; a seed comes once in an arm."""
    found = [_difference(first, second, arms) for first, second in combinations(arms, 2)]
    return [replace(each, corrected=p) for each, p in zip(found, holm([each.p for each in found]), strict=True)]


def _difference(first: str, second: str, arms: Mapping[str, Sequence[Drawn]]) -> Difference:
    seeds = {each.seed for each in arms[first]} & {each.seed for each in arms[second]}
    one, other = (
        sorted((each for each in arms[name] if each.seed in seeds), key=lambda each: each.seed)
        for name in (first, second)
    )
    return Difference(first, second, len(seeds), *compared(one, other))
