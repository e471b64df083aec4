"""What a job's images are conditioned on: its texts, or nothing at all, and what "empty" means."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lib_sticky.guidance.null import zeroed
from lib_sticky.guidance_fields import NULL_ENCODED, NULL_SAME, NULL_ZEROS
from lib_sticky.hosts.diffusers import Diffusers, Prepared, Stretches
from lib_sticky.hosts.neglora import untagged
from lib_sticky.lora.sides import SidedLoras
from lib_sticky.prompt.extra_networks import strip_extra_networks
from lib_sticky.prompt.negative import tracked_text
from lib_sticky.studio.job import Job


@dataclass(frozen=True)
class Conditions:
    """An image's positive and negative, and the empty prompt that two-scale guides away from."""

    prepared: Prepared
    empty: Stretches


def negative_of(job: Job) -> str:
    """The negative that the job really encodes."""
    return "" if job.config.untitled else tracked_text(job.config, job.prompt, untagged(job.negative))


def conditions(host: Diffusers, job: Job, loras: SidedLoras | None = None) -> Conditions:
    """Encode the texts of a job whose size is settled, each side with its own LoRAs."""
    about = (job.steps, (job.width, job.height), job.clip_skip, loras)
    positive = "" if job.config.untitled else strip_extra_networks(job.prompt)
    negative = negative_of(job)
    prepared = host.prepare(positive, negative, *about)
    nothing = host.prepare("", "", *about)
    empty = _empty(job.config.null, nothing, prepared)
    return Conditions(prepared if negative else replace(prepared, negative=empty), empty)


def _empty(choice: str, nothing: Prepared, prepared: Prepared) -> Stretches:
    """The empty negative: the host's own, zeros, the encoded "", or the positive (of an AND prompt its first part)."""
    if choice == NULL_ZEROS:
        return replace(nothing.negative, conds=tuple(zeroed(cond) for cond in nothing.negative.conds))
    if choice == NULL_ENCODED:
        return nothing.parts[0].stretches
    return prepared.parts[0].stretches if choice == NULL_SAME else nothing.negative
