"""Likeness, diversity and the latent step metrics, on cases with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.lab import diversity, likeness
from lib_sticky.lab.latent_steps import measure_step


def random_picture(seed: int, size: int = 48) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((6, 6, 3))
    return np.kron(coarse, np.ones((size // 6, size // 6, 1)))


def test_equal_pictures_are_alike():
    picture = random_picture(0)
    assert likeness.ssim(picture, picture) == pytest.approx(1.0)
    assert likeness.histogram_distance(picture, picture) == 0.0
    assert likeness.hash_distance(likeness.perceptual_hash(picture), likeness.perceptual_hash(picture)) == 0


def test_ssim_of_flat_pictures_by_hand():
    a, b = np.full((9, 9, 3), 0.2), np.full((9, 9, 3), 0.6)
    assert likeness.ssim(a, b) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4))
    with pytest.raises(ValueError, match="one size"):
        likeness.ssim(a, np.zeros((9, 8, 3)))


def test_ssim_falls_with_noise_and_turns_negative_for_the_inverse():
    picture, rng = random_picture(1), np.random.default_rng(0)
    noisy = [np.clip(picture + rng.normal(size=picture.shape) * sigma, 0, 1) for sigma in (0.02, 0.1, 0.3)]
    found = [likeness.ssim(picture, other) for other in noisy]
    assert found == sorted(found, reverse=True)
    board = np.repeat((np.indices((20, 20)).sum(axis=0) % 2 * 0.8 + 0.1)[..., None], 3, axis=2)
    assert likeness.ssim(board, 1 - board) < -0.9


def test_histograms_without_a_shared_bin_are_at_distance_one():
    assert likeness.histogram_distance(np.zeros((4, 4, 3)), np.ones((4, 4, 3))) == pytest.approx(1.0)
    mixed = np.zeros((4, 4, 3))
    mixed[:2] = 1.0
    assert likeness.histogram_distance(np.zeros((4, 4, 3)), mixed) == pytest.approx((0.25 / 1.5 + 0.5) / 2)


def test_hash_survives_noise_and_size_and_tells_pictures_apart():
    picture, rng = random_picture(2), np.random.default_rng(0)
    noisy = np.clip(picture + rng.normal(size=picture.shape) * 0.02, 0, 1)
    larger = np.kron(picture, np.ones((3, 3, 1)))
    mark = likeness.perceptual_hash(picture)
    assert likeness.hash_distance(mark, likeness.perceptual_hash(noisy)) <= 6
    assert likeness.hash_distance(mark, likeness.perceptual_hash(larger)) <= 6
    others = [likeness.hash_distance(mark, likeness.perceptual_hash(random_picture(seed))) for seed in range(10, 20)]
    assert min(others) > 10
    assert likeness.hash_distance(0b1011, 0b0010) == 2


@given(st.integers(1, 8), st.integers(1, 5))
def test_vendi_counts_groups_of_equal_pictures(groups: int, each: int):
    same = np.kron(np.eye(groups), np.ones((each, each)))
    assert diversity.vendi(same) == pytest.approx(groups)


def test_vendi_by_hand():
    # Eigenvalues of K / 2 are (1 + 0.5) / 2 and (1 - 0.5) / 2.
    expected = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert diversity.vendi(np.array([[1.0, 0.5], [0.5, 1.0]])) == pytest.approx(expected)


def test_diversity_of_pictures():
    same = [diversity.features(random_picture(0))] * 4
    mixed = [diversity.features(random_picture(seed)) for seed in range(4)]
    assert diversity.mean_distance(same) == 0.0
    assert diversity.mean_distance(mixed) > 0.05
    assert diversity.mean_distance(mixed[:1]) == 0.0
    assert diversity.vendi(diversity.similarity(same, 0.1)) == pytest.approx(1.0)
    assert 1.5 < diversity.vendi(diversity.similarity(mixed, 0.1)) <= 4.0 + 1e-9


def test_features_see_edges_that_colours_do_not():
    lying = np.repeat(np.tile(np.arange(32) % 2, (32, 1))[..., None], 3, axis=2) * 1.0
    both = diversity.distances([diversity.features(p) for p in (lying, np.swapaxes(lying, 0, 1))])
    assert both[0, 1] == both[1, 0] > 0
    assert both[0, 0] == 0


def test_latent_step_by_hand():
    cond = np.array([[1.0, -1.0], [2.0, 2.0]])
    uncond = np.array([[0.0, 0.0], [2.0, 2.0]])
    guided = uncond + 3 * (cond - uncond)
    step, still = measure_step(*(np.stack([each, cond]) for each in (guided, cond, uncond)))
    assert step.peak == 3.0
    assert step.p999 == pytest.approx(3.0, abs=0.01)
    assert step.deviation == (3.0, 1.0)
    assert step.mean_shift == (0.0, 0.0)
    assert step.gap == pytest.approx(math.sqrt(2 / 10))
    assert step.alignment == pytest.approx(2 / 10)
    assert step.push == pytest.approx(math.sqrt((4 + 4) / 4))
    assert (still.peak, still.push, still.gap) == (2.0, 0.0, 0.0)


def test_latent_step_without_guidance_or_signal():
    cond = np.random.default_rng(0).normal(size=(1, 4, 2, 8, 8))
    (step,) = measure_step(cond, cond)
    assert (step.gap, step.alignment, step.push) == (0.0, 0.0, 0.0)
    assert step.deviation == pytest.approx((1.0,) * 4)
    (zero,) = measure_step(np.zeros((1, 4, 3, 3)), np.zeros((1, 4, 3, 3)), np.ones((1, 4, 3, 3)))
    assert (zero.gap, zero.alignment) == (0.0, 0.0)
