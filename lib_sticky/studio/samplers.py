"""Samplers, each a function of (denoise, x, sigmas, noise) that yields the latents after every step.

All work in the variance-exploding form x = x0 + sigma * noise, in which DDIM is Euler's method on its own grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from lib_sticky.guidance.cfg_pp import next_latent
from lib_sticky.studio.noise_levels import MakeGrid, NoiseLevels


class Denoised(Protocol):
    """A guided prediction; `renoise` is what CFG++ adds the noise of, None for a plain step."""

    @property
    def prediction(self) -> Tensor: ...
    @property
    def renoise(self) -> Tensor | None: ...


Denoise = Callable[[Tensor, int], Denoised]
"""The guided prediction for latents at 0-based step i."""

MakeNoise = Callable[[], Tensor]
"""Fresh unit noise of the latents' shape, each image from its own generator."""

Sample = Callable[[Denoise, Tensor, Sequence[float], MakeNoise], Iterator[Tensor]]


def _toward(x: Tensor, found: Denoised, sigma: float, sigma_next: float) -> Tensor:
    """The latents at `sigma_next`: the denoised image plus as much of the noise as belongs there."""
    renoise = found.prediction if found.renoise is None else found.renoise
    return next_latent(x, found.prediction, renoise, sigma, sigma_next)


def euler(denoise: Denoise, x: Tensor, sigmas: Sequence[float], noise: MakeNoise) -> Iterator[Tensor]:
    """Euler's method (Karras et al., arXiv 2206.00364, algorithm 2 without churn); on DDIM's grid, DDIM."""
    del noise
    for i in range(len(sigmas) - 1):
        x = _toward(x, denoise(x, i), sigmas[i], sigmas[i + 1])
        yield x


def euler_ancestral(denoise: Denoise, x: Tensor, sigmas: Sequence[float], noise: MakeNoise) -> Iterator[Tensor]:
    """Euler's method to a lower sigma, then fresh noise up to the next one (k-diffusion, eta 1)."""
    for i in range(len(sigmas) - 1):
        ratio = (sigmas[i + 1] / sigmas[i]) ** 2
        up = min(sigmas[i + 1], sigmas[i + 1] * math.sqrt(1 - ratio))
        x = _toward(x, denoise(x, i), sigmas[i], math.sqrt(sigmas[i + 1] ** 2 - up**2))
        if sigmas[i + 1] > 0:
            x = x + noise() * up
        yield x


def dpmpp_2m(denoise: Denoise, x: Tensor, sigmas: Sequence[float], noise: MakeNoise) -> Iterator[Tensor]:
    """DPM-Solver++(2M), second order from the second step on, first order on the last (arXiv 2211.01095)."""
    del noise
    before: Tensor | None = None
    last_h = 0.0
    for i in range(len(sigmas) - 1):
        now = denoise(x, i).prediction
        if sigmas[i + 1] == 0:
            yield now
            return
        h = math.log(sigmas[i] / sigmas[i + 1])
        extrapolated = now if before is None else now + (now - before) * (h / (2 * last_h))
        x = x * (sigmas[i + 1] / sigmas[i]) - extrapolated * math.expm1(-h)
        before, last_h = now, h
        yield x


UNIPC_ORDER = 3


def unipc(denoise: Denoise, x: Tensor, sigmas: Sequence[float], noise: MakeNoise) -> Iterator[Tensor]:
    """UniPC of order 3 with B(h) = h, its data prediction form (arXiv 2302.04867); lower order at both ends."""
    del noise
    steps = len(sigmas) - 1
    history: list[tuple[float, Tensor]] = []
    origin = x
    for i in range(steps):
        now = denoise(x, i).prediction
        if history:
            x = _unipc_step(origin, sigmas[i], history, now)
        history = [*history, (sigmas[i], now)][-UNIPC_ORDER:]
        order = min(UNIPC_ORDER, len(history), steps - i)
        history = history[-order:]
        origin = x
        x = _unipc_step(origin, sigmas[i + 1], history, None)
        yield x


def _unipc_step(x: Tensor, sigma: float, history: Sequence[tuple[float, Tensor]], at_end: Tensor | None) -> Tensor:
    """From the last entry of `history` to `sigma`; with the prediction `at_end` there, the corrector."""
    last_sigma, last = history[-1]
    h = math.log(last_sigma / sigma)
    ratios = [math.log(last_sigma / other) / h for other, _ in history[:-1]][::-1]
    slopes = [(found - last) / ratio for ratio, (_, found) in zip(ratios, history[-2::-1], strict=True)]
    if at_end is not None:
        ratios, slopes = [*ratios, 1.0], [*slopes, at_end - last]
    moved = x * (sigma / last_sigma) - last * math.expm1(-h)
    for weight, slope in zip(_unipc_weights(ratios, -h), slopes, strict=True):
        moved = moved + slope * (weight * h)
    return moved


def _unipc_weights(ratios: Sequence[float], hh: float) -> list[float]:
    """The coefficients rho that solve R rho = b; a single one is one half, as the authors' own code has it."""
    if len(ratios) < 2:
        return [0.5] * len(ratios)
    rows: list[list[float]] = []
    wanted: list[float] = []
    phi, factorial = math.expm1(hh) / hh - 1, 1
    for power in range(len(ratios)):
        rows.append([ratio**power for ratio in ratios])
        wanted.append(phi * factorial / hh)
        factorial *= power + 2
        phi = phi / hh - 1 / factorial
    return np.linalg.solve(np.array(rows), np.array(wanted)).tolist()


@dataclass(frozen=True)
class Sampler:
    """A sampling function and the noise levels that it goes along."""

    sample: Sample
    grid: MakeGrid


SAMPLERS: Mapping[str, Sampler] = {
    "Euler a": Sampler(euler_ancestral, NoiseLevels.linear),
    "Euler": Sampler(euler, NoiseLevels.linear),
    "DPM++ 2M": Sampler(dpmpp_2m, NoiseLevels.karras),
    "DDIM": Sampler(euler, NoiseLevels.ddim),
    "UniPC": Sampler(unipc, NoiseLevels.unipc),
}
