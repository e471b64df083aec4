"""Yield, near-duplicates, palettes and the comparison of presets."""

from __future__ import annotations

import numpy as np
import pytest

from lib_sticky.lab.prior_html import Part, Thumbnail, page
from lib_sticky.lab.yields import Drawn, compared, differences, diversity, drawn, duplicates, palette, sentence


def set_of(kept: list[bool], hashes: list[int] | None = None) -> list[Drawn]:
    values = hashes or [1 << (8 * i) for i in range(len(kept))]
    return [
        Drawn(i + 1, keep, value, np.array([float(i)]))
        for i, (keep, value) in enumerate(zip(kept, values, strict=True))
    ]


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
    assert differences({"U1": first, "U2": second}) == [
        "U1 against U2: only U1 kept 2 seeds, only U2 kept 1; McNemar p 1"
    ]
    with pytest.raises(ValueError, match="same seeds"):
        compared(first, second[:3])


def test_diversity_of_equal_and_of_far_pictures() -> None:
    same = [Drawn(i, True, 0, np.zeros(3)) for i in range(4)]
    far = [Drawn(i, True, 0, np.eye(4)[i] * 100) for i in range(4)]
    assert diversity(same) == pytest.approx((0.0, 1.0))
    assert diversity(far) == pytest.approx((100 * 2**0.5, 4.0))


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
