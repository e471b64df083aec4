"""Intervals and tests against published or exactly computed values."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.lab.intervals import Estimate, bootstrap, wilson
from lib_sticky.lab.significance import LEAST_PICTURES, holm, mcnemar, sign_test, verdict


def test_wilson_of_two_in_ten_is_the_articles():
    found = wilson(2, 10)
    assert (round(found.low, 2), round(found.high, 2)) == (0.06, 0.51)
    assert found.value == 0.2


def test_wilson_by_its_equation():
    """The ends are the shares p at which (observed - p)^2 = z^2 p (1 - p) / n."""
    found = wilson(81, 263)
    for end in (found.low, found.high):
        assert (81 / 263 - end) ** 2 == pytest.approx(1.959963985**2 * end * (1 - end) / 263)


@given(st.integers(0, 300), st.integers(0, 300))
def test_wilson_holds_the_share(successes: int, failures: int):
    found = wilson(successes, successes + failures)
    assert 0 <= found.low <= found.high <= 1
    if successes + failures:
        assert found.low - 1e-12 <= found.value <= found.high + 1e-12


def test_wilson_at_the_ends():
    assert wilson(0, 50).low == 0.0
    assert wilson(50, 50).high == pytest.approx(1.0)
    assert math.isnan(wilson(0, 0).value)
    with pytest.raises(ValueError, match="5 of 4 is no share"):
        wilson(5, 4)


def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        found = bootstrap(rng.normal(1.0, 2.0, 60), rounds=400, seed=seed)
        hits += found.low <= 1.0 <= found.high
    assert 0.89 <= hits / 200 <= 0.99


def test_bootstrap_agrees_with_the_standard_error():
    values = np.random.default_rng(1).normal(size=1000)
    found = bootstrap(values)
    half = 1.96 * values.std() / math.sqrt(1000)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=half * 0.15)
    assert found.high == pytest.approx(values.mean() + half, abs=half * 0.15)


def test_bootstrap_repeats_and_takes_other_statistics():
    values = [1.0, 2.0, 3.0, 10.0]
    assert bootstrap(values, np.median) == bootstrap(values, np.median)
    assert bootstrap(values, np.median).value == 2.5
    assert bootstrap([4.0] * 9) == Estimate(4.0, 4.0, 4.0)


def test_pairing_is_worth_it():
    rng = np.random.default_rng(2)
    seeds = rng.normal(0, 10, 300)
    first, second = seeds + rng.normal(0, 0.5, 300), seeds + 0.3 + rng.normal(0, 0.5, 300)
    paired = bootstrap(second - first)
    assert paired.excludes_zero()
    assert paired.high - paired.low < (bootstrap(second).high - bootstrap(second).low) / 5


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_bootstrap_refuses_what_cannot_be_resampled(values: list[float]):
    with pytest.raises(ValueError, match="nothing to resample"):
        bootstrap(values)


def exact_two_sided(a: int, b: int) -> Fraction:
    total = a + b
    tail = sum(math.comb(total, k) for k in range(max(a, b), total + 1))
    return min(Fraction(1), 2 * Fraction(tail, 2**total))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_exact(a: int, b: int):
    expected = float(exact_two_sided(a, b)) if a + b else 1.0
    assert mcnemar(a, b) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(a, b) == mcnemar(b, a)


def test_mcnemar_on_large_counts_does_not_overflow():
    assert mcnemar(5000, 5000) == pytest.approx(1.0)
    assert 0 <= mcnemar(5600, 4400) < 1e-30


def test_sign_test_leaves_ties_out():
    assert sign_test([1.0] * 8 + [-1.0] * 2 + [0.0] * 90) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert sign_test([0.0, 0.0]) == sign_test([]) == 1.0


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_only_raises_and_keeps_the_order(values: list[float]):
    corrected = holm(values)
    assert all(value <= new <= 1 for value, new in zip(values, corrected, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [corrected[i] for i in order] == sorted(corrected)


def test_verdict_needs_pictures_an_interval_and_a_p():
    up, down, both = Estimate(0.1, 0.05, 0.15), Estimate(-0.1, -0.15, -0.05), Estimate(0.1, -0.05, 0.25)
    assert verdict(up, 0.01, LEAST_PICTURES) == "higher"
    assert verdict(down, 0.01, LEAST_PICTURES) == "lower"
    assert verdict(up, 0.2, LEAST_PICTURES) == "no difference resolved"
    assert verdict(both, 0.01, LEAST_PICTURES) == "no difference resolved"
    assert verdict(up, 1e-9, LEAST_PICTURES - 1) == "too few pictures"


def test_no_effect_is_rarely_called_one():
    """A thousand comparisons of nothing with nothing: the exact test errs in at most 5 % of them."""
    rng = np.random.default_rng(3)
    calls = [sign_test(rng.normal(size=40).tolist()) < 0.05 for _ in range(1000)]
    assert np.mean(calls) < 0.06
    assert sum(p < 0.05 for p in holm([sign_test(rng.normal(size=40).tolist()) for _ in range(50)])) == 0
