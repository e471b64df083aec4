"""What the scale of a sticky negative amounts to, from the empty prompt's prediction on a few steps of the run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from lib_sticky.guidance.effective_cfg import dilution, displacement_ratio, effective_scale, gain_for
from lib_sticky.guidance.passes import Pass
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.studio.job import OPTIONS, Job, JobError
from lib_sticky.studio.noise_levels import NoiseLevels
from lib_sticky.studio.samplers import SAMPLERS
from lib_sticky.studio.sampling import Moment, sample

_FRACTIONS = (0.1, 0.35, 0.7)


@dataclass(frozen=True)
class Probe:
    """One image on one step: |D_c - D_u| / |D_c - D_0|, and alpha (see guidance/effective_cfg.py)."""

    step: int
    ratio: float
    dilution: float


def probe_steps(steps: int) -> tuple[int, ...]:
    """The 1-based steps that are probed; never the first, whose latents no step before it has left. Needs 2 steps."""
    return tuple(sorted({min(steps, max(2, round(steps * fraction))) for fraction in _FRACTIONS}))


class EmptyPrompt:
    """Predicts with the empty prompt beside a run of `job`: one model call more on each of `probe_steps`."""

    def __init__(self, host: Diffusers, job: Job) -> None:
        self._host = host
        self._grid = SAMPLERS[job.sampler].grid(NoiseLevels(host.alphas()), job.steps)
        self._empty = host.prepare("", "", job.steps, (job.width, job.height), job.clip_skip).negative
        self._before: Any = None

    def see(self, moment: Moment) -> Iterator[Probe]:
        """A probe for each image, on the steps that are probed."""
        x, self._before = self._before, moment.latents
        if moment.step not in probe_steps(moment.steps):
            return
        cond = moment.predictions[Pass.COND]
        # Not run where it equals the positive or the scale is 1: then it displaces nothing.
        uncond = moment.predictions.get(Pass.UNCOND, cond)
        index = moment.step - 1
        with torch.inference_mode():
            empties = [self._empty.at(index)] * len(x)
            null = self._host.denoised(x, self._grid.sigmas[index], self._grid.timesteps[index], empties)
            found = zip(displacement_ratio(cond, uncond, null), dilution(cond, uncond, null), strict=True)
            yield from (Probe(moment.step, float(ratio), float(alpha)) for ratio, alpha in found)


def probed(host: Diffusers, job: Job) -> list[Probe]:
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
    most = OPTIONS["cfg"].maximum
    scale = round(gain_for(target, ratios, most), 2)
    now = effective_scale(job.cfg, statistics.median(ratios))
    reached = (
        f"for CFG {target:g} it is {scale:g}" if scale < most else f"for CFG {target:g} even {most:g} is too little"
    )
    return scale, f"CFG {job.cfg:g} with this negative pushes as far as CFG {now:.3g} without one; {reached}"


def matched_scale(scale: float, ratios: Sequence[float]) -> float:
    """The scale that pushes as far with an empty negative, at the median of the ratios; two decimals, a job's most.

    Raises ValueError without a measurement.
    """
    if not ratios:
        raise ValueError("no probe step was measured; run the empty prompt on at least one step")
    return min(OPTIONS["cfg"].maximum, round(effective_scale(scale, statistics.median(ratios)), 2))
