"""How many pictures of a set are worth keeping, which are nearly alike, and how two sets on the same seeds differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .diversity import features, mean_distance, similarity, vendi
from .intervals import Estimate, wilson
from .likeness import hash_distance, perceptual_hash
from .pictures import Floats, lab, shrink
from .significance import mcnemar

NEAR = 6
"""Hashes of 64 bits that differ in so many or fewer are those of near-duplicates."""

VENDI_SCALE = 0.25
"""Feature distance over which two pictures count as different."""


@dataclass(frozen=True)
class Drawn:
    """One picture: its seed, whether it is worth keeping, its hash and features."""

    seed: int
    kept: bool
    hash: int
    features: Floats


def drawn(seed: int, kept: bool, picture: Floats) -> Drawn:
    """What is remembered of a picture."""
    return Drawn(seed, kept, perceptual_hash(picture), features(picture))


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


def diversity(pictures: Sequence[Drawn]) -> tuple[float, float]:
    """Mean distance of all pairs, and the effective number of different pictures (1 to n)."""
    vectors = [each.features for each in pictures]
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
    thumbnails = np.concatenate([shrink(picture, 16).reshape(-1, 3) for picture in pictures])
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
    found = [np.round(thumbnails[nearest == i].mean(0) * 255) for i in np.argsort(-counts) if counts[i]]
    return [(int(red), int(green), int(blue)) for red, green, blue in found]


def sentence(name: str, pictures: Sequence[Drawn]) -> str:
    """The yield of a preset in words."""
    share = share_kept(pictures)
    kept = sum(each.kept for each in pictures)
    return (
        f"{name}: yield {share.value:.3f}, {kept} of {len(pictures)}, 95% interval {share.low:.3f} to {share.high:.3f}"
    )


def differences(arms: Mapping[str, Sequence[Drawn]]) -> list[str]:
    """A sentence for each pair of presets."""
    names = list(arms)
    found: list[str] = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            only_first, only_second, p = compared(arms[first], arms[second])
            found.append(
                f"{first} against {second}: only {first} kept {only_first} seeds, only {second} kept {only_second}; "
                f"McNemar p {p:.3g}"
            )
    return found
