"""From a job to its latents, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lib_sticky.guidance.combine import Guided
from lib_sticky.guidance.passes import Pass
from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.hosts.diffusers_loras import sided
from lib_sticky.hosts.neglora import Asked, asked
from lib_sticky.hosts.selected import cfg_scale, selected
from lib_sticky.lora.sides import SidedLoras
from lib_sticky.studio.conditions import conditions
from lib_sticky.studio.guide import Guide, Side
from lib_sticky.studio.job import NATIVE, Job
from lib_sticky.studio.loras import find_lora
from lib_sticky.studio.noise_levels import NoiseLevels
from lib_sticky.studio.samplers import SAMPLERS


@dataclass(frozen=True)
class Moment:
    """What one step left: latents [B, C, h, w], the denoised predictions of its passes, what guidance made of them.

    `latents` are ready for the VAE only after the last step.
    """

    step: int
    steps: int
    sigma: float
    latents: Tensor
    predictions: Mapping[Pass, Tensor]
    guided: Guided

    @property
    def guidance_norm(self) -> float:
        """Root mean square of D_c - D_r, how far the positive and what CFG moves away from are apart; 0 without CFG."""
        if self.guided.reference is None:
            return 0.0
        return float((self.predictions[Pass.COND] - self.guided.reference).square().mean().sqrt())


def sized(job: Job, host: Diffusers) -> Job:
    """The job with the model's own size in place of a width or height of 0."""
    native = host.native_size()
    return replace(job, width=job.width or native, height=job.height or native)


def sample(
    host: Diffusers, job: Job, selection: Selection | None = None, prompts: Sequence[str] = ()
) -> Iterator[Moment]:
    """Run the job's steps; stop asking for the next one to cancel. The size must be given (see `sized`).

    selection: the techniques, those of the job's config where it is not given. prompts: one for each image of the
    batch, in place of the job's one. Raises ConfigError for a negative LoRA that is
    not there, or that this model cannot use.
    """
    if NATIVE in (job.width, job.height):
        raise ValueError("the size of the job is not settled; use sized(job, host)")
    wanted = asked(job.config, [job.negative], find_lora)
    chosen = selected(job.config) if selection is None else selection
    loras = sided(host.pipe, wanted.loras, both=wanted.both) if wanted.loras else None
    with loras.attached() if loras else nullcontext():
        yield from _sampled(host, job, chosen, wanted, loras, prompts or [job.prompt] * job.batch)


def _sampled(
    host: Diffusers, job: Job, selection: Selection, wanted: Asked, loras: SidedLoras | None, prompts: Sequence[str]
) -> Iterator[Moment]:
    sampler = SAMPLERS[job.sampler]
    grid = sampler.grid(NoiseLevels(host.alphas()), job.steps)
    found = {prompt: conditions(host, replace(job, prompt=prompt), loras) for prompt in dict.fromkeys(prompts)}
    side = Side(loras, [wanted.act(index, len(grid.timesteps)) for index in range(len(grid.timesteps))], wanted.both)
    guide = Guide(host, [found[prompt] for prompt in prompts], grid, cfg_scale(job.config, job.cfg), selection, side)
    generators = [torch.Generator().manual_seed(job.seed + i) for i in range(job.batch)]
    shape = host.latent_shape(job.width, job.height)

    def noise() -> Tensor:
        return torch.stack([torch.randn(shape, generator=generator) for generator in generators]).to(host.device)

    steps = len(grid.timesteps)
    latents = sampler.sample(guide, noise() * grid.start, grid.sigmas, noise)
    for index in range(steps):
        # Around each step, not around the loop: between steps the thread belongs to whoever asks for the next one.
        with torch.inference_mode():
            x = next(latents) * (grid.end if index == steps - 1 else 1.0)
        yield Moment(index + 1, steps, grid.sigmas[index], x, *guide.last())
