"""Paired differences, their tests and their refusal, by hand."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from lib_sticky.lab.compare import (
    BLANK,
    BLANK_BELOW,
    COMPARISONS,
    Arm,
    Delta,
    Setting,
    Taken,
    blank,
    cell,
    deltas,
    middle,
    refusal,
    settings,
    share,
)
from lib_sticky.lab.compare_tables import COLUMNS, HEADLINE, deltas_csv, pictures_csv, rows, shares_of, steps_csv
from lib_sticky.lab.metrics import METRICS
from lib_sticky.lab.planes import Planes
from lib_sticky.lab.significance import LEAST_PICTURES

SEVEN, TWENTY = Setting(7, 20, 128, 128), Setting(20, 20, 128, 128)


def taken(setting: Setting, arm: Arm, seed: int, value: float, blank: bool = False, **more: float) -> Taken:
    return Taken(setting, arm, seed, f"{arm.value}-{seed}.png", {"contrast": value, **more}, {BLANK: blank})


def found(deltas: list[Delta], name: str, arm: Arm, reference: Arm, setting: Setting = SEVEN) -> Delta:
    return next(
        each for each in deltas
        if (each.name, each.arm, each.reference, each.setting) == (name, arm, reference, setting)
    )  # fmt: skip


def whole(count: int, shift: float = 0.1) -> list[Taken]:
    """All arms; the sticky one is `shift` above the others, whatever the seed's own level."""
    return [
        taken(SEVEN, arm, seed, seed + (shift if arm is Arm.STICKY else 0.0), blank=arm is Arm.STICKY and seed < 3)
        for arm in Arm
        for seed in range(count)
    ]


def test_a_difference_is_taken_between_pictures_of_one_seed():
    pictures = [
        *(taken(SEVEN, Arm.EMPTY, seed, value) for seed, value in [(1, 10.0), (2, 20.0), (3, 30.0), (4, 40.0)]),
        *(taken(SEVEN, Arm.STICKY, seed, value) for seed, value in [(4, 41.0), (3, 32.0), (2, 24.0), (1, 18.0)]),
    ]
    delta = found(deltas(pictures), "contrast", Arm.STICKY, Arm.EMPTY)
    # The differences are 8, 4, 2 and 1; all up, so p is 2 / 2^4.
    assert (delta.difference.value, delta.pairs, delta.p) == (3.0, 4, 0.125)
    assert 1.0 <= delta.difference.low <= 3.0 <= delta.difference.high <= 8.0


def test_shares_are_compared_with_mcnemars_test():
    pictures = [taken(SEVEN, Arm.EMPTY, seed, 1.0, blank=seed == 9) for seed in range(10)]
    pictures += [taken(SEVEN, Arm.TERMS, seed, 1.0, blank=seed < 4) for seed in range(10)]
    delta = found(deltas(pictures), BLANK, Arm.TERMS, Arm.EMPTY)
    # 4 seeds became blank, 1 stopped being it: two-sided p is 2 (C(5,4) + C(5,5)) / 2^5.
    assert delta.difference.value == pytest.approx(0.3)
    assert delta.p == pytest.approx(0.375)


def test_a_seed_without_its_partner_is_left_out():
    pictures = [taken(SEVEN, Arm.EMPTY, seed, 1.0) for seed in (1, 2)]
    pictures += [taken(SEVEN, Arm.TERMS, seed, 2.0) for seed in (2, 3)]
    assert found(deltas(pictures), "contrast", Arm.TERMS, Arm.EMPTY).pairs == 1


def test_settings_are_not_mixed():
    pictures = [
        taken(setting, arm, seed, level if arm is Arm.STICKY else 0.0)
        for setting, level in ((SEVEN, 1.0), (TWENTY, -2.0))
        for arm in Arm
        for seed in range(3)
    ]
    every = deltas(pictures)
    assert settings(pictures) == [SEVEN, TWENTY]
    assert found(every, "contrast", Arm.STICKY, Arm.EMPTY).difference.value == 1.0
    assert found(every, "contrast", Arm.STICKY, Arm.EMPTY, TWENTY).difference.value == -2.0


def test_every_arm_meets_the_empty_negative_and_sticky_meets_placebo_and_matched():
    every = deltas(whole(4))
    assert {(each.arm, each.reference) for each in every} == set(COMPARISONS)
    assert {arm for arm, reference in COMPARISONS if reference is Arm.EMPTY} == set(Arm) - {Arm.EMPTY}
    assert {(Arm.STICKY, Arm.PLACEBO), (Arm.STICKY, Arm.MATCHED)} <= set(COMPARISONS)


def test_p_is_corrected_for_all_comparisons():
    every = deltas(whole(12))
    smallest = min(every, key=lambda each: each.p)
    assert smallest.p == pytest.approx(2 / 2**12)
    assert smallest.corrected == pytest.approx(smallest.p * len(every))
    assert all(each.p <= each.corrected <= 1 for each in every)


def test_no_verdict_from_few_pictures_however_clear_the_difference():
    every = deltas(whole(40))
    assert {each.verdict for each in every} == {"too few pictures"}
    assert "No verdict" in refusal(every)
    assert "40" in refusal(every) and "1,000" in refusal(every)


def test_verdicts_from_enough_pictures():
    every = deltas(whole(LEAST_PICTURES))
    assert refusal(every) == ""
    assert found(every, "contrast", Arm.STICKY, Arm.PLACEBO).verdict == "higher"
    assert found(every, "contrast", Arm.PLACEBO, Arm.EMPTY).verdict == "no difference resolved"


def test_cells():
    pictures = whole(5)
    assert middle(cell(pictures, SEVEN, Arm.EMPTY), "contrast") == 2.0
    assert share(cell(pictures, SEVEN, Arm.STICKY), BLANK).value == 0.6
    with pytest.raises(ValueError, match="no picture"):
        middle([], "contrast")


def test_both_tables_begin_with_the_blank_rate():
    names = dict.fromkeys((*HEADLINE, "halo"), 1.0)
    pictures = [
        Taken(SEVEN, arm, seed, "x.png", names, {BLANK: False, "judged clean": True}) for arm in Arm for seed in (1, 2)
    ]
    first, more = rows(pictures, deltas(pictures), SEVEN)
    for table in (first, more):
        assert table[0].name.startswith(BLANK) and table[0].is_share
        assert all(len(row.values) + 1 == len(COLUMNS) for row in table)
    assert [row.name for row in first[2:]] == list(HEADLINE)
    assert [row.name for row in more[2:]] == ["halo"]
    assert first[2].values[1].verdict == "", "a verdict is shown although there are two pictures"
    assert shares_of(pictures, SEVEN)[0].startswith("Blank: A0 0%")


def test_the_metrics_shown_first_exist():
    assert {name for name in HEADLINE if not name.startswith(("latent", "guidance"))} <= set(METRICS)


def test_csv_files_hold_every_picture_and_every_comparison():
    pictures = whole(3)
    every = deltas(pictures)
    read = list(csv.DictReader(io.StringIO(pictures_csv(pictures))))
    assert [(line["arm"], int(line["seed"])) for line in read] == [(each.arm.value, each.seed) for each in pictures]
    assert read[0]["blank"] == "0" and float(read[0]["contrast"]) == 0.0
    read = list(csv.DictReader(io.StringIO(deltas_csv(every))))
    assert len(read) == len(every) == 2 * len(COMPARISONS)
    assert {line["verdict"] for line in read} == {"too few pictures"}
    log = [{"gap": 0.5, "deviation": [1.0, 2.0]}, {"gap": 0.25, "deviation": [1.0, 1.0]}]
    read = list(csv.DictReader(io.StringIO(steps_csv([(SEVEN, Arm.EMPTY, 1, log)]))))
    assert [(line["step"], line["gap"], line["deviation"]) for line in read] == [
        ("1", "0.5", "1 2"),
        ("2", "0.25", "1 1"),
    ]


def test_a_plain_ground_of_any_colour_is_blank():
    ground = np.full((16, 16, 3), (0.1, 0.3, 0.85))
    assert blank(Planes.of(ground))
    assert blank(Planes.of(np.zeros((16, 16, 3))))
    with_object = ground.copy()
    with_object[4:8, 4:8] = (0.9, 0.1, 0.1)
    assert not blank(Planes.of(with_object))
    # Half the values lie this far above the mean and half below it, so that the deviation is this far.
    for far, expected in ((0.9 * BLANK_BELOW, True), (1.1 * BLANK_BELOW, False)):
        striped = ground + far * np.where(np.arange(16) % 2, 1, -1)[:, None, None]
        assert blank(Planes.of(striped)) is expected
