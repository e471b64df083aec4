"""From a job to finished pictures, each with its infotext."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

from PIL import Image

from lib_sticky.guidance.combine import Record
from lib_sticky.guidance.report import short
from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.hosts.selected import selected
from lib_sticky.studio.job import Job
from lib_sticky.studio.png import infotext
from lib_sticky.studio.sampling import Moment, sample, sized


@dataclass(frozen=True)
class Made:
    """The pictures of a job whose size and seed are settled, their infotexts, and what each step did."""

    job: Job
    pictures: tuple[Image.Image, ...]
    infotexts: tuple[str, ...]
    records: tuple[Record, ...]

    @property
    def guided(self) -> bool:
        """Whether the job asked for any technique."""
        return _guided(self.job)


def settled(job: Job, host: Diffusers) -> Job:
    """The job with a size and a seed in place of "the model's own" and "a new one"."""
    seed = secrets.randbelow(2**32 - job.batch) if job.seed < 0 else job.seed
    return replace(sized(job, host), seed=seed)


def make(host: Diffusers, job: Job, model: str) -> Iterator[Moment | Made]:
    """Every step of a settled job, then what was made; `model` names the model in the infotext."""
    moment: Moment | None = None
    records: list[Record] = []
    for moment in sample(host, job):
        records.append(moment.guided.record)
        yield moment
    if moment is None:
        raise RuntimeError(f"{job.sampler} made no step")
    pictures = tuple(Image.fromarray(array) for array in host.pictures(moment.latents))
    acted = short(records) if _guided(job) else None
    texts = tuple(infotext(job, index, model, acted) for index in range(job.batch))
    yield Made(job, pictures, texts, tuple(records))


def _guided(job: Job) -> bool:
    return selected(job.config) != Selection() or job.config.untitled


def without_and_with(job: Job) -> tuple[Job, Job]:
    """The same job twice: Sticky off, Sticky on."""
    off, on = (replace(job, config=replace(job.config, enabled=enabled)) for enabled in (False, True))
    return off, on
