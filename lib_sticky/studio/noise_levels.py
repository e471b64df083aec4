"""The noise levels that A1111's samplers visit when the schedule is "Automatic"."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

KARRAS_RHO = 7.0


@dataclass(frozen=True)
class Grid:
    """Sigmas of the variance-exploding form, one more than steps, falling; the model's timestep for all but the last.

    `start` is the factor on unit noise that makes the first latents.
    """

    sigmas: tuple[float, ...]
    timesteps: tuple[float, ...]
    start: float

    @property
    def end(self) -> float:
        """The factor on the last latents that makes those for the VAE: 1 where the last sigma is 0.

        A1111's DDIM and UniPC stop a little before, in the variance-preserving form, and decode what is there.
        """
        return 1 / math.sqrt(self.sigmas[-1] ** 2 + 1)


class NoiseLevels:
    """A model's own noise levels: `alphas` are its cumulative products of 1 - beta, by training timestep."""

    def __init__(self, alphas: ArrayLike) -> None:
        self._alphas: NDArray[np.float64] = np.asarray(alphas, dtype=np.float64)
        self._steps: NDArray[np.float64] = np.arange(len(self._alphas), dtype=np.float64)
        self._log_sigmas: NDArray[np.float64] = 0.5 * np.log((1 - self._alphas) / self._alphas)

    def linear(self, steps: int) -> Grid:
        """Timesteps from the last to 0 in equal steps, then sigma 0; log sigma is interpolated.

        Source: k-diffusion external.py, DiscreteSchedule.get_sigmas.
        """
        timesteps = np.linspace(self._steps[-1], 0, steps)
        sigmas = np.exp(np.interp(timesteps, self._steps, self._log_sigmas))
        return Grid((*sigmas.tolist(), 0.0), tuple(timesteps.tolist()), float(sigmas[0]))

    def karras(self, steps: int) -> Grid:
        """Sigmas in equal steps of their 7th root, then 0 (Karras et al., arXiv 2206.00364, eq. 5)."""
        root_low, root_high = np.exp(self._log_sigmas[[0, -1]]) ** (1 / KARRAS_RHO)
        sigmas = (root_high + np.linspace(0, 1, steps) * (root_low - root_high)) ** KARRAS_RHO
        timesteps = np.interp(np.log(sigmas), self._log_sigmas, self._steps)
        return Grid((*sigmas.tolist(), 0.0), tuple(timesteps.tolist()), float(sigmas[0]))

    def ddim(self, steps: int) -> Grid:
        """Every (1000 // steps)th timestep from 1 on, backwards; the last, timestep 1, is only arrived at.

        Source: A1111 modules/sd_samplers_timesteps.py, get_timesteps; it makes one model call less than it has entries.
        """
        count = len(self._alphas)
        timesteps = np.minimum(np.arange(0, count, count // steps) + 1, count - 1)[::-1]
        return self._unit(np.exp(self._log_sigmas[timesteps]), timesteps)

    def unipc(self, steps: int) -> Grid:
        """Equal steps of time from 1 to 0.001; log alpha is interpolated (A1111 modules/models/diffusion/uni_pc)."""
        timesteps = np.linspace(self._steps[-1], 0, steps + 1)
        alphas = np.exp(np.interp(timesteps, self._steps, np.log(self._alphas)))
        return self._unit(np.sqrt((1 - alphas) / alphas), timesteps)

    @staticmethod
    def _unit(sigmas: NDArray[np.float64], timesteps: NDArray[np.float64]) -> Grid:
        """A grid whose first latents have variance 1 in the variance-preserving form."""
        start = math.sqrt(float(sigmas[0]) ** 2 + 1)
        return Grid(tuple(sigmas.tolist()), tuple(timesteps[:-1].astype(np.float64).tolist()), start)


MakeGrid = Callable[[NoiseLevels, int], Grid]
