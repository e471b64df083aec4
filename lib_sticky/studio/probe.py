"""The empty prompt's prediction beside a run of the studio (see lab/probing.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from lib_sticky.guidance.passes import Pass
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.probing import Probe, feeling, probe_steps, probed
from lib_sticky.studio.job import Job, JobError
from lib_sticky.studio.noise_levels import NoiseLevels
from lib_sticky.studio.samplers import SAMPLERS
from lib_sticky.studio.sampling import Moment, sample


class EmptyPrompt:
    """Predicts with the empty prompt beside a run of `job`: one model call more on each of `probe_steps`."""

    def __init__(self, host: Diffusers, job: Job) -> None:
        self._host = host
        self._grid = SAMPLERS[job.sampler].grid(NoiseLevels(host.alphas()), job.steps)
        self._empty = host.prepare("", "", job.steps, (job.width, job.height), job.clip_skip).negative
        self._before: Any = None

    def see(self, moment: Moment) -> list[Probe]:
        """A probe for each image, on the steps that are probed; none on the others."""
        x, self._before = self._before, moment.latents
        if moment.step not in probe_steps(moment.steps):
            return []
        index = moment.step - 1
        with torch.inference_mode():
            empties = [self._empty.at(index)] * len(x)
            null = self._host.denoised(x, self._grid.sigmas[index], self._grid.timesteps[index], empties)
            predictions = moment.predictions
            return probed(moment.step, predictions[Pass.COND], predictions.get(Pass.UNCOND), null)


def probes_of(host: Diffusers, job: Job) -> list[Probe]:
    """The probes of one picture of a settled job, made for nothing else."""
    one = replace(job, batch=1)
    empty = EmptyPrompt(host, one)
    return [probe for moment in sample(host, one) for probe in empty.see(moment)]


def scale_that_feels(target: float, job: Job, ratios: Sequence[float]) -> tuple[float, str]:
    """The CFG scale at which the job's negative pushes as far as `target` does without one, and that in words.

    Raises JobError where no scale does, or without a measurement.
    """
    if job.cfg == 1 or not any(ratios):
        raise JobError("cfg", "the negative pushes nowhere here, so no scale feels like another; use a CFG above 1")
    return feeling(target, job.cfg, ratios)
