"""The ranking figure, its interval, and the classifier that learns from votes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.lab.intervals import wilson
from lib_sticky.lab.ranking import auc, auc_estimate
from lib_sticky.lab.taste import RIDGE, NotLearnable, Taste, Voted, fit, learn

SCORES = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


def test_the_auc_counts_pairs_and_half_of_the_ties() -> None:
    assert auc([3, 2], [2, 1]) == 3.5 / 4
    assert auc([1], [2]) == 0.0
    with pytest.raises(ValueError, match="both kinds"):
        auc([1], [])


def test_the_interval_of_one_pair_is_wilsons_of_one_trial() -> None:
    # With m = n = 1 the added terms have weight (1 + 1) / 2 - 1 = 0, so the variance is v (1 - v).
    found, score = auc_estimate([2], [1]), wilson(1, 1)
    assert (found.value, found.high) == (1.0, pytest.approx(1.0, abs=1e-9))
    assert found.low == pytest.approx(score.low, abs=1e-9)


def test_the_interval_solves_newcombes_equation() -> None:
    found = auc_estimate([5, 4, 4, 2, 1], [3, 2, 2, 1, 0, 0])  # 6 + 6 + 6 + 4 + 2.5 of 30 pairs
    assert found.value == pytest.approx(24.5 / 30)
    for bound in (found.low, found.high):
        spread = 1 + 4.5 * (1 - bound) / (2 - bound) + 4.5 * bound / (1 + bound)
        assert abs(found.value - bound) == pytest.approx(
            1.959963985 * math.sqrt(bound * (1 - bound) * spread / 30), abs=1e-7
        )


@given(SCORES, SCORES)
def test_swapping_the_kinds_mirrors_the_interval(kept: list[int], rejected: list[int]) -> None:
    one, other = auc_estimate(kept, rejected), auc_estimate(rejected, kept)
    assert (one.value, one.low, one.high) == pytest.approx((1 - other.value, 1 - other.high, 1 - other.low), abs=1e-9)
    assert 0 <= one.low <= one.value <= one.high <= 1


def test_the_weight_of_two_mirrored_votes() -> None:
    # Slope 2 (s(w) - 1) + ridge w = 0; at w = ln 3, s(w) = 3/4, so the ridge is 1 / (2 ln 3).
    weights, bias = fit(np.array([[1.0], [-1.0]]), np.array([1.0, 0.0]), 0.5 / math.log(3))
    assert weights == pytest.approx([math.log(3)], abs=1e-8)
    assert bias == pytest.approx(0.0, abs=1e-8)


def test_without_scores_that_vary_the_bias_is_the_odds() -> None:
    weights, bias = fit(np.zeros((4, 2)), np.array([1.0, 1.0, 1.0, 0.0]), 1.0)
    assert weights == pytest.approx([0.0, 0.0])
    assert bias == pytest.approx(math.log(3), abs=1e-8)


def test_scores_far_apart_do_not_overflow() -> None:
    weights, bias = fit(np.array([[1e3], [-1e3], [1e3], [-1e3]]), np.array([1.0, 0.0, 1.0, 0.0]), 1e-6)
    assert np.isfinite(weights).all() and math.isfinite(bias) and weights[0] > 0


def test_a_taste_standardises_before_it_weighs() -> None:
    taste = Taste(("a", "b"), np.array([1.0, 2.0]), np.array([2.0, 4.0]), np.array([3.0, -1.0]), 0.5)
    assert taste.logit({"a": 5.0, "b": 6.0, "other": 9.0}) == pytest.approx(2 * 3 - 1 + 0.5)
    assert taste.chance({"a": 1.0, "b": 4.0}) == pytest.approx(0.5)


def votes_on(count: int, signal: float, seed: int = 0) -> list[Voted]:
    rng = np.random.default_rng(seed)
    return [
        Voted({"a": (kept - 0.5) * signal + rng.normal(), "b": rng.normal(), "flat": 1.0}, bool(kept), group)
        for group, kept in enumerate(rng.integers(0, 2, count))
    ]


def test_a_preference_is_learned_and_its_absence_is_not_claimed() -> None:
    clear, none = learn(votes_on(120, 3.0)), learn(votes_on(120, 0.0))
    assert clear.auc.low > 0.9
    assert none.auc.low < 0.5 < none.auc.high
    assert clear.kept + clear.rejected == 120
    first = {"a": 2.0, "b": 0.0, "flat": 1.0}
    assert clear.taste.chance(first) > 0.8 > 0.2 > clear.taste.chance({**first, "a": -2.0})
    assert clear.taste.weights[clear.taste.names.index("flat")] == pytest.approx(0.0, abs=1e-9)


def test_the_same_votes_give_the_same_figures() -> None:
    votes = votes_on(60, 1.0)
    assert learn(votes).auc == learn(votes).auc


def test_pictures_of_one_seed_do_not_vouch_for_each_other() -> None:
    # Each seed has its own look, unlike all others, and a vote by chance: seen elsewhere, it would be recognised.
    rng = np.random.default_rng(0)
    grouped, alone = list[float](), list[float]()
    for _ in range(8):
        kept, looks = rng.permutation([True] * 10 + [False] * 10), rng.normal(size=(20, 12))
        scores = [{str(i): float(value) for i, value in enumerate(look)} for look in looks]
        votes = [Voted(scores[seed], bool(kept[seed]), seed) for seed in range(20) for _ in range(3)]
        grouped.append(learn(votes).auc.value)
        alone.append(learn([Voted(vote.scores, vote.kept, number) for number, vote in enumerate(votes)]).auc.value)
    assert np.mean(alone) > 0.8
    assert 0.3 < np.mean(grouped) < 0.7


@pytest.mark.parametrize(
    ("votes", "words"),
    [
        (votes_on(29, 3.0), "29 votes; 30"),
        ([Voted({"a": float(i)}, True, i) for i in range(40)], "all 40 votes say keep"),
        ([Voted({"a": float(i)}, False, i) for i in range(40)], "all 40 votes say reject"),
        ([Voted({"a": float(i)}, i < 10, 0 if i < 10 else i) for i in range(40)], "all of one seed"),
        ([Voted({"a": math.nan}, i < 10, i) for i in range(40)], "not a finite"),
        ([Voted({str(i): 0.0}, i < 10, i) for i in range(40)], "no score in common"),
    ],
)
def test_votes_that_say_nothing_are_refused_in_words(votes: list[Voted], words: str) -> None:
    with pytest.raises(NotLearnable, match=words):
        learn(votes)


def test_one_rare_kind_in_two_seeds_is_enough() -> None:
    votes = [Voted({"a": float(i < 2), "b": float(i % 5)}, i < 2, i) for i in range(40)]
    assert learn(votes).kept == 2
    assert RIDGE > 0
