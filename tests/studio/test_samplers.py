"""Noise levels by their known values, samplers against diffusers' schedulers and an exact solution."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, UniPCMultistepScheduler
from torch import Tensor

from lib_sticky.studio.job import SAMPLER_NAMES
from lib_sticky.studio.noise_levels import Grid, NoiseLevels
from lib_sticky.studio.samplers import SAMPLERS

ALPHAS = np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)
LEVELS = NoiseLevels(ALPHAS)
K_DIFFUSION_20 = [
    14.6146, 10.7468, 8.0815, 6.2049, 4.8557, 3.8654, 3.1238, 2.5572, 2.1157, 1.7648, 1.4806,
    1.2458, 1.0481, 0.8784, 0.7297, 0.5964, 0.4736, 0.3555, 0.2322, 0.0292, 0.0,
]  # fmt: skip
"""What k-diffusion's get_sigmas(20) gives for Stable Diffusion's schedule."""


@dataclass(frozen=True)
class Found:
    prediction: Tensor
    renoise: Tensor | None = None


def predicted(x: Tensor, sigma: float) -> Tensor:
    """The exact x0 for data drawn from two points, -1 and 1, in every element."""
    return torch.tanh(x / sigma**2) if sigma else torch.sign(x)


def run(name: str, grid: Grid, x: Tensor, noise: Callable[[], Tensor] | None = None) -> list[Tensor]:
    def denoise(latents: Tensor, index: int) -> Found:
        return Found(predicted(latents, grid.sigmas[index]))

    return list(SAMPLERS[name].sample(denoise, x, grid.sigmas, noise or (lambda: torch.zeros_like(x))))


def start(grid: Grid) -> Tensor:
    return torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * grid.start


def test_names_are_those_of_the_jobs() -> None:
    assert tuple(SAMPLERS) == SAMPLER_NAMES


def test_linear_grid_is_that_of_k_diffusion() -> None:
    grid = LEVELS.linear(20)
    assert grid.sigmas == pytest.approx(K_DIFFUSION_20, abs=1e-4)
    assert grid.timesteps[0] == 999
    assert grid.timesteps[-1] == 0
    assert grid.start == grid.sigmas[0]
    assert grid.end == 1


def test_karras_grid_has_the_same_ends_and_equal_steps_of_the_root() -> None:
    grid = LEVELS.karras(10)
    assert grid.sigmas[0] == pytest.approx(14.6146, abs=1e-4)
    assert grid.sigmas[-2] == pytest.approx(0.0292, abs=1e-4)
    assert np.diff(np.array(grid.sigmas[:-1]) ** (1 / 7)) == pytest.approx(
        (0.0292**(1 / 7) - 14.6146**(1 / 7)) / 9, abs=1e-4
    )  # fmt: skip
    assert grid.timesteps[0] == pytest.approx(999)


@pytest.mark.parametrize(("steps", "first", "calls"), [(20, 951, 19), (30, 991, 30), (10, 901, 9), (7, 995, 7)])
def test_ddim_grid_is_that_of_a1111(steps: int, first: int, calls: int) -> None:
    grid = LEVELS.ddim(steps)
    assert grid.timesteps[0] == first
    assert len(grid.timesteps) == calls
    assert grid.sigmas[-1] == pytest.approx(math.sqrt((1 - ALPHAS[1]) / ALPHAS[1]))
    assert grid.start == pytest.approx(1 / math.sqrt(ALPHAS[first]))


def test_unipc_grid_ends_at_the_first_timestep() -> None:
    grid = LEVELS.unipc(20)
    assert grid.timesteps[0] == 999
    assert grid.timesteps[1] == pytest.approx(949.05)
    assert len(grid.timesteps) == 20
    assert grid.sigmas[-1] == pytest.approx(math.sqrt((1 - ALPHAS[0]) / ALPHAS[0]))


def test_euler_is_that_of_diffusers() -> None:
    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    scheduler.set_timesteps(12)
    sigmas = scheduler.sigmas.double()
    x = torch.randn(1, 4, 3, 3, dtype=torch.float64) * float(sigmas[0])
    grid = Grid(tuple(sigmas.tolist()), tuple(scheduler.timesteps.tolist()), 1.0)
    found = run("Euler", grid, x)[-1]
    for index, timestep in enumerate(scheduler.timesteps):
        sigma = float(sigmas[index])
        x = scheduler.step((x - predicted(x, sigma)) / sigma, timestep, x).prev_sample
    torch.testing.assert_close(found, x, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("steps", [3, 5, 20])
def test_unipc_is_that_of_diffusers(steps: int) -> None:
    grid = LEVELS.unipc(steps)
    scheduler = UniPCMultistepScheduler(
        trained_betas=(1 - ALPHAS / np.concatenate([[1.0], ALPHAS[:-1]])).tolist(),
        solver_order=3, solver_type="bh1", prediction_type="sample", lower_order_final=True,
    )  # fmt: skip
    scheduler.set_timesteps(steps)
    scheduler.sigmas = torch.tensor(grid.sigmas, dtype=torch.float64)
    scheduler.timesteps = torch.tensor(grid.timesteps, dtype=torch.float64)
    x = start(grid)
    found = run("UniPC", grid, x)[-1]
    preserving = x / math.sqrt(grid.sigmas[0] ** 2 + 1)
    for sigma, timestep in zip(grid.sigmas, scheduler.timesteps, strict=False):
        prediction = predicted(preserving * math.sqrt(sigma**2 + 1), sigma)
        preserving = scheduler.step(prediction, timestep, preserving).prev_sample
    torch.testing.assert_close(found * grid.end, preserving, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("steps", [2, 5, 20])
def test_dpmpp_2m_is_that_of_diffusers(steps: int) -> None:
    grid = LEVELS.karras(steps)
    scheduler = DPMSolverMultistepScheduler(
        trained_betas=(1 - ALPHAS / np.concatenate([[1.0], ALPHAS[:-1]])).tolist(),
        solver_order=2, prediction_type="sample", algorithm_type="dpmsolver++", final_sigmas_type="zero",
    )  # fmt: skip
    scheduler.set_timesteps(steps)
    scheduler.sigmas = torch.tensor(grid.sigmas, dtype=torch.float64)
    scheduler.timesteps = torch.tensor(grid.timesteps, dtype=torch.float64)
    x = start(grid)
    found = run("DPM++ 2M", grid, x)[-1]
    preserving = x / math.sqrt(grid.sigmas[0] ** 2 + 1)
    for sigma, timestep in zip(grid.sigmas, scheduler.timesteps, strict=False):
        prediction = predicted(preserving * math.sqrt(sigma**2 + 1), sigma)
        preserving = scheduler.step(prediction, timestep, preserving).prev_sample
    torch.testing.assert_close(found, preserving, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_every_sampler_arrives_at_the_data(name: str) -> None:
    grid = SAMPLERS[name].grid(LEVELS, 60)
    x = run(name, grid, start(grid))[-1] * grid.end
    # DDIM and UniPC leave the noise of their last level in.
    assert (x.abs() - 1).abs().max() < 0.05 + 3 * grid.sigmas[-1]


def test_ancestral_noise_has_the_variance_that_the_step_took() -> None:
    grid = Grid((4.0, 2.0, 1.0), (2.0, 1.0), 4.0)

    def nothing(x: Tensor, index: int) -> Found:
        del index
        return Found(torch.zeros_like(x))

    x = torch.full((1, 1, 1, 1), 4.0, dtype=torch.float64)
    first, _ = SAMPLERS["Euler a"].sample(nothing, x, grid.sigmas, lambda: torch.ones_like(x))
    # sigma_up^2 = 4 (16 - 4) / 16 = 3, sigma_down = 1: 4 * 1 / 4 + sqrt(3)
    assert first.item() == pytest.approx(1 + math.sqrt(3))


def test_cfg_pp_adds_the_noise_of_the_other_prediction() -> None:
    def denoise(x: Tensor, index: int) -> Found:
        del index
        return Found(torch.full_like(x, 0.5), renoise=torch.full_like(x, -1.0))

    (x,) = SAMPLERS["Euler"].sample(denoise, torch.full((1,), 3.0), (2.0, 1.0), lambda: torch.zeros(1))
    assert x.item() == pytest.approx(0.5 + (3.0 + 1.0) / 2)
