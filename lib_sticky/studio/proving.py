"""What a job of the studio shows beside its pictures: its filmstrip, and what its scale amounts to."""

from __future__ import annotations

from PIL import Image

from lib_sticky.guidance_fields import OFF
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.probing import FAMILIAR
from lib_sticky.studio.job import Job, JobError
from lib_sticky.studio.making import Made
from lib_sticky.studio.probe import EmptyPrompt, scale_that_feels
from lib_sticky.studio.strips import strip_of
from lib_sticky.studio.watching import Watch


def watch_for(host: Diffusers, job: Job) -> Watch | None:
    """A watch over a settled job that asks for something to be shown; None where it does not."""
    strip, probing = job.config.filmstrip != OFF, job.config.measure_scale
    if not strip and not probing:
        return None
    return Watch(strip, measures=False, empty=EmptyPrompt(host, job) if probing else None)


def filmstrip_of(host: Diffusers, made: Made, watch: Watch, label: str) -> Image.Image | None:
    """The filmstrip of what `watch` saw; None where the job asks for none."""
    if not watch.strip:
        return None
    return strip_of(host, made, watch, made.job.config.filmstrip, f"{label}, seed {made.job.seed}")


def scale_in_words(job: Job, watch: Watch) -> str:
    """What the job's scale amounts to; "" where that was not measured."""
    if not watch.probes:
        return ""
    try:
        return scale_that_feels(FAMILIAR, job, [probe.ratio for found in watch.probes for probe in found])[1]
    except JobError as error:
        return str(error)
