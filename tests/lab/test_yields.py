"""Yield, near-duplicates, palettes and the comparison of presets."""

from __future__ import annotations

import numpy as np
import pytest

from lib_sticky.lab.prior_html import Part, Thumbnail, page
from lib_sticky.lab.yields import (
    Difference,
    Drawn,
    compared,
    differences,
    diversity,
    drawn,
    duplicates,
    palette,
    sentence,
)


def set_of(kept: list[bool], hashes: list[int] | None = None) -> list[Drawn]:
    values = hashes or [1 << (8 * i) for i in range(len(kept))]
    return [Drawn(i + 1, keep, value) for i, (keep, value) in enumerate(zip(kept, values, strict=True))]


def test_the_yield_of_two_in_ten() -> None:
    # GUIDANCE: the Wilson interval of 2/10 is 0.06 to 0.51.
    told = sentence("U3", set_of([True] * 2 + [False] * 8))
    assert told == "U3: yield 0.200, 2 of 10, 95% interval 0.057 to 0.510"


def test_duplicates_name_the_earlier_seed() -> None:
    assert duplicates(set_of([True] * 4, [0, (1 << 60) - 1, 0b111111, 0b1111111])) == {3: 1, 4: 3}


def test_presets_are_compared_seed_by_seed() -> None:
    first, second = set_of([True, True, True, False]), set_of([True, False, False, True])
    only_first, only_second, p = compared(first, second)
    assert (only_first, only_second, p) == (2, 1, 1.0)
    (found,) = differences({"U1": first, "U2": second})
    assert found == Difference("U1", "U2", 4, 2, 1, 1.0, 1.0)
    assert found.sentence == "U1 against U2: only U1 kept 2 seeds, only U2 kept 1; McNemar p 1"
    with pytest.raises(ValueError, match="same seeds"):
        compared(first, second[:3])


def test_presets_are_compared_on_the_seeds_that_both_have() -> None:
    # Seeds 2 to 8 in both: the first keeps all, the second none, so p is 2 / 2^7.
    first, second = set_of([True] * 8), [each for each in reversed(set_of([False] * 9)) if each.seed > 1]
    third = set_of([False] * 8)
    one, two, three = differences({"a": first, "b": second, "c": third})
    assert (one.seeds, one.only_first, one.only_second, one.p) == (7, 7, 0, pytest.approx(2 / 2**7))
    assert (two.seeds, two.p, three.seeds, three.p) == (8, pytest.approx(2 / 2**8), 7, 1.0)
    assert (two.corrected, one.corrected) == (pytest.approx(3 * 2 / 2**8), pytest.approx(2 * 2 / 2**7))


def test_arms_without_a_common_seed_differ_in_nothing() -> None:
    (found,) = differences({"a": set_of([True]), "b": [Drawn(9, False, 0)]})
    assert (found.seeds, found.p) == (0, 1.0)


def test_diversity_of_equal_and_of_far_pictures() -> None:
    assert diversity([np.zeros(3)] * 4) == pytest.approx((0.0, 1.0))
    assert diversity(list(np.eye(4) * 100)) == pytest.approx((100 * 2**0.5, 4.0))


def test_the_palette_of_two_flat_pictures() -> None:
    red, blue = np.zeros((16, 16, 3)), np.zeros((16, 16, 3))
    red[..., 0], blue[..., 2] = 1.0, 1.0
    assert palette([red, red, blue], colours=2) == [(255, 0, 0), (0, 0, 255)]


def test_what_is_remembered_of_a_picture() -> None:
    picture = np.random.default_rng(0).random((32, 32, 3))
    found = drawn(7, True, picture)
    assert (found.seed, found.kept) == (7, True)
    assert duplicates([found, drawn(8, False, picture)]) == {8: 7}


def test_the_page_escapes_and_blurs() -> None:
    part = Part("<U3>", "a & b", ["yield"], [(1, 2, 3)], [Thumbnail(5, "p/5.png", True, "like 3")])
    text = page("what <it> draws", [("Model", "<m>")], ["note"], [part])
    assert "<m>" not in text
    assert "&lt;m&gt;" in text
    assert "class=blurred" in text
    assert "seed 5, kept, like 3" in text
    assert "rgb(1, 2, 3)" in text
