"""CFG++ in sigma form, in DDIM's own form, and as a scale schedule; conversions from noise prediction."""

from __future__ import annotations

import math

import pytest
import torch
from guidance_samples import SEEDS, close, latents
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.guidance import cfg_pp, space
from lib_sticky.guidance.cfg import guide

ALPHAS = st.tuples(st.floats(0.01, 0.9), st.floats(0.01, 0.09)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def euler(x: torch.Tensor, denoised: torch.Tensor, sigma: float, sigma_next: float) -> torch.Tensor:
    return x + (sigma_next - sigma) * (x - denoised) / sigma


@given(SEEDS, ALPHAS, st.floats(0.05, 2.0))
def test_is_the_papers_ddim_step(seed: int, alphas: tuple[float, float], strength: float):
    alpha, alpha_next = alphas
    x, noise_c, noise_u = (latents(seed + i, 2, 4, 5, 5, dtype=torch.float64) for i in range(3))
    mixed = noise_u + strength * (noise_c - noise_u)
    clean = (x - math.sqrt(1 - alpha) * mixed) / math.sqrt(alpha)
    expected = math.sqrt(alpha_next) * clean + math.sqrt(1 - alpha_next) * noise_u

    cond, uncond = (space.denoised(x, noise, alpha) for noise in (noise_c, noise_u))
    moved = cfg_pp.next_latent(
        space.exploding(x, alpha), guide(cond, uncond, strength), uncond, space.sigma(alpha), space.sigma(alpha_next)
    )
    close(moved * math.sqrt(alpha_next), expected.numpy(), 1e-10)


@given(SEEDS, st.floats(0.05, 2.0), st.floats(0.1, 20.0), st.floats(0.0, 0.99))
def test_is_a_euler_step_at_a_scale_of_its_own(seed: int, strength: float, sigma: float, kept: float):
    x, cond, uncond = (latents(seed + i, 1, 4, 5, 5, dtype=torch.float64) for i in range(3))
    guided = guide(cond, uncond, strength)
    expected = cfg_pp.next_latent(x, guided, uncond, sigma, kept * sigma)
    by_scale = guide(cond, uncond, cfg_pp.equivalent_scale(strength, sigma, kept * sigma))
    close(euler(x, by_scale, sigma, kept * sigma), expected.numpy(), 1e-9)
    converted = cfg_pp.for_euler(guided, uncond, sigma, kept * sigma)
    close(euler(x, converted, sigma, kept * sigma), expected.numpy(), 1e-9)


def test_equal_predictions_make_a_plain_step():
    x, same = latents(0, 1, 4, 5, 5, dtype=torch.float64), latents(1, 1, 4, 5, 5, dtype=torch.float64)
    for strength in (0.08, 0.6, 2.0):
        moved = cfg_pp.next_latent(x, guide(same, same, strength), same, 4.0, 3.0)
        close(moved, euler(x, same, 4.0, 3.0).numpy(), 1e-12)


def test_strength_means_the_same_on_every_host():
    assert cfg_pp.strength_from_host(1.0, 1 / 12.5) == pytest.approx(0.08)  # not 0, and not 1
    assert cfg_pp.strength_from_host(1.0, 1.0) == 1.0
    for multiplier in (1 / 12.5, 1.0):
        asked = cfg_pp.host_scale(0.6, multiplier)
        assert cfg_pp.strength_from_host(asked, multiplier) == pytest.approx(0.6)


@pytest.mark.parametrize("strength", [0.3, 0.6, 0.9])
def test_renoising_with_the_positive_would_push_towards_the_negative(strength: float):
    x, good, bad = torch.zeros(1, 1), torch.tensor([[1.0]]), torch.tensor([[-1.0]])
    unguided = euler(x, good, 10.0, 8.0)
    guided = guide(good, bad, strength)
    assert cfg_pp.next_latent(x, guided, bad, 10.0, 8.0) > unguided
    assert cfg_pp.next_latent(x, guided, good, 10.0, 8.0) < unguided


@given(SEEDS, st.floats(0.01, 0.99))
def test_noise_and_image_are_two_views_of_one_prediction(seed: int, alpha: float):
    x, noise = latents(seed, 1, 4, 3, 3, dtype=torch.float64), latents(seed + 1, 1, 4, 3, 3, dtype=torch.float64)
    image = space.denoised(x, noise, alpha)
    close(space.noise(x, image, alpha), noise.numpy(), 1e-9)
    close(image + space.sigma(alpha) * noise, space.exploding(x, alpha).numpy(), 1e-9)


def test_strength_must_be_positive():
    with pytest.raises(ValueError, match="strength is 0; use a number that is greater than 0"):
        cfg_pp.CfgPlusPlus(0)
