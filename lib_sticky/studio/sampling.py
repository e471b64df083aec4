"""From a job to its latents, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lib_sticky.guidance.attention_rows import Attention
from lib_sticky.guidance.cfg import compose
from lib_sticky.guidance.combine import Guided, combine
from lib_sticky.guidance.displace import State
from lib_sticky.guidance.null import same_conditioning
from lib_sticky.guidance.passes import Pass, Plan, Step
from lib_sticky.guidance.plan import plan_step
from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.diffusers import Cond, Diffusers, Prepared
from lib_sticky.hosts.diffusers_loras import sided
from lib_sticky.hosts.neglora import Asked, asked, untagged
from lib_sticky.lora.sides import SidedLoras
from lib_sticky.prompt.extra_networks import strip_extra_networks
from lib_sticky.prompt.negative import tracked_text
from lib_sticky.studio.job import NATIVE, Job
from lib_sticky.studio.loras import find_lora
from lib_sticky.studio.noise_levels import Grid, NoiseLevels
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


def negative_of(job: Job) -> str:
    """The negative that the job really encodes."""
    return tracked_text(job.config, job.prompt, untagged(job.negative))


def sample(
    host: Diffusers, job: Job, selection: Selection | None = None, prompts: Sequence[str] = ()
) -> Iterator[Moment]:
    """Run the job's steps; stop asking for the next one to cancel. The size must be given (see `sized`).

    prompts: one for each image of the batch, in place of the job's one. Raises ConfigError for a negative LoRA that is
    not there, or that this model cannot use.
    """
    if NATIVE in (job.width, job.height):
        raise ValueError("the size of the job is not settled; use sized(job, host)")
    wanted = asked(job.config, [job.negative], find_lora)
    loras = sided(host.pipe, wanted.loras, both=wanted.both) if wanted.loras else None
    with loras.attached() if loras else nullcontext():
        yield from _sampled(host, job, selection or Selection(), wanted, loras, prompts or [job.prompt] * job.batch)


def _sampled(
    host: Diffusers, job: Job, selection: Selection, wanted: Asked, loras: SidedLoras | None, prompts: Sequence[str]
) -> Iterator[Moment]:
    sampler = SAMPLERS[job.sampler]
    grid = sampler.grid(NoiseLevels(host.alphas()), job.steps)
    size = (job.width, job.height)
    prepared = {
        prompt: host.prepare(
            strip_extra_networks(prompt),
            negative_of(replace(job, prompt=prompt)),
            job.steps,
            size,
            job.clip_skip,
            loras,
        )
        for prompt in dict.fromkeys(prompts)
    }
    side = Side(loras, [wanted.act(index, len(grid.timesteps)) for index in range(len(grid.timesteps))], wanted.both)
    guide = _Guide(host, [prepared[prompt] for prompt in prompts], grid, job.cfg, selection, side)
    generators = [torch.Generator().manual_seed(job.seed + i) for i in range(job.batch)]
    shape = host.latent_shape(*size)

    def noise() -> Tensor:
        return torch.stack([torch.randn(shape, generator=generator) for generator in generators]).to(host.device)

    steps = len(grid.timesteps)
    latents = sampler.sample(guide, noise() * grid.start, grid.sigmas, noise)
    for index in range(steps):
        # Around each step, not around the loop: between steps the thread belongs to whoever asks for the next one.
        with torch.inference_mode():
            x = next(latents) * (grid.end if index == steps - 1 else 1.0)
        yield Moment(index + 1, steps, grid.sigmas[index], x, *guide.last())


@dataclass(frozen=True)
class Side:
    """The negative LoRAs of a job, if any, and on which steps they act."""

    loras: SidedLoras | None
    steps: Sequence[bool]
    both: bool

    def parts(self, index: int) -> bool:
        """Whether one conditioning is predicted differently on the two sides."""
        return self.loras is not None and self.steps[index] and not self.both

    def on(self, negative: Sequence[bool], index: int) -> AbstractContextManager[None]:
        """Act on the model call made inside, whose batch has a `negative` for each row."""
        return self.loras.on_rows(negative) if self.loras and self.steps[index] else nullcontext()


class _Guide:
    """The guided prediction of a step: one model call, then the techniques of `selection`."""

    def __init__(
        self, host: Diffusers, images: list[Prepared], grid: Grid, cfg: float, selection: Selection, side: Side
    ) -> None:
        self._host, self._images, self._grid, self._cfg, self._selection = host, images, grid, cfg, selection
        self._side = side
        self._state = State()
        self._last: tuple[Mapping[Pass, Tensor], Guided] | None = None

    def last(self) -> tuple[Mapping[Pass, Tensor], Guided]:
        """The predictions of the last call and what was made of them."""
        if self._last is None:
            raise RuntimeError("no step was made yet")
        return self._last

    def __call__(self, x: Tensor, index: int) -> Guided:
        positives = [image.conds(index) for image in self._images]
        negatives = [image.negative.at(index) for image in self._images]
        plan = plan_step(self._selection, self._step(index, positives, negatives))
        predictions = self._predictions(x, index, plan, positives, negatives)
        guided = combine(self._selection, plan, x, predictions, self._state)
        self._state = guided.state
        self._last = (predictions, guided)
        return guided

    def _step(self, index: int, positives: list[list[Cond]], negatives: list[Cond]) -> Step:
        composed = any([part.weight for part in image.parts] != [1] for image in self._images)
        pairs = zip(positives, negatives, strict=True)
        same = not composed and all(same_conditioning(conds[0], negative) for conds, negative in pairs)
        same = same and not self._side.parts(index)
        return Step(
            index, len(self._grid.timesteps), self._cfg, cond_equals_uncond=same, and_prompt=composed,
            sigma=self._grid.sigmas[index], sigma_next=self._grid.sigmas[index + 1],
        )  # fmt: skip

    def _predictions(
        self, x: Tensor, index: int, plan: Plan, positives: list[list[Cond]], negatives: list[Cond]
    ) -> dict[Pass, Tensor]:
        """D_c and, where the plan wants it, D_u of every image, all from one call."""
        with_negative = Pass.UNCOND in plan.passes and plan.row(Pass.UNCOND).attention is Attention.PLAIN
        conds = [cond for own in positives for cond in own] + (negatives if with_negative else [])
        images = [i for i, own in enumerate(positives) for _ in own] + (
            list(range(len(positives))) if with_negative else []
        )
        with self._side.on([row >= len(conds) - len(negatives) and with_negative for row in range(len(conds))], index):
            rows = self._host.denoised(x[images], self._grid.sigmas[index], self._grid.timesteps[index], conds)
        if not with_negative:
            return {Pass.COND: rows}
        uncond = rows[-len(positives) :]
        return {Pass.COND: self._composed(rows, positives, uncond), Pass.UNCOND: uncond}

    def _composed(self, rows: Tensor, positives: list[list[Cond]], uncond: Tensor) -> Tensor:
        """One prediction an image: the sum over the parts of its AND prompt."""
        found: list[Any] = []
        start = 0
        for image, own, reference in zip(self._images, positives, uncond, strict=True):
            found.append(compose(rows[start : start + len(own)].unbind(), [p.weight for p in image.parts], reference))
            start += len(own)
        return torch.stack(found)
