"""Which of the undesirable terms does what: each is left out once, on the same seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from lib_sticky.config import ConfigError
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.intervals import Estimate, bootstrap
from lib_sticky.lab.metrics import measure
from lib_sticky.lab.pictures import rgb
from lib_sticky.lab.planes import Planes
from lib_sticky.prompt.brackets import split_at_commas
from lib_sticky.studio.comparing import Judge
from lib_sticky.studio.job import Job
from lib_sticky.studio.making import Made, make

METRICS = ("clipped high", "saturation", "contrast", "high frequency share", "sharpness")
"""Chosen before anything was measured."""


@dataclass(frozen=True)
class Pictures:
    """What one list of terms makes: the term that it lacks ("" for none), and a picture with its infotext a seed."""

    lacking: str
    pictures: tuple[Image.Image, ...]
    infotexts: tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """What one term does: with it minus without it, over the seeds.

    moved: root mean square of the difference of the pictures, 0 to 255; changes: means of the paired differences of
    metrics, and of what judges say (yes is 1).
    """

    term: str
    moved: Estimate
    changes: Mapping[str, Estimate]


def terms_of(job: Job) -> list[str]:
    """The terms, at least two. ConfigError otherwise."""
    found = list(dict.fromkeys(split_at_commas(job.config.terms)))
    if len(found) < 2:
        raise ConfigError("terms", f"{len(found)} are too few; with one term left out there must be another")
    return found


def ablated(host: Diffusers, job: Job, seeds: int, model: str) -> Iterator[Pictures]:
    """The pictures of all terms, then those with each term left out; `job` is settled and for the first seed."""
    terms = terms_of(job)
    for lacking in ("", *terms):
        kept = ", ".join(term for term in terms if term != lacking)
        changed = replace(job, config=replace(job.config, enabled=True, terms=kept))
        made = [_made(host, each, model) for each in _batches(changed, seeds)]
        yield Pictures(
            lacking,
            tuple(picture for each in made for picture in each.pictures),
            tuple(text for each in made for text in each.infotexts),
        )


def _batches(job: Job, seeds: int) -> Iterator[Job]:
    for first in range(0, seeds, job.batch):
        yield replace(job, seed=job.seed + first, batch=min(job.batch, seeds - first))


def _made(host: Diffusers, job: Job, model: str) -> Made:
    for event in make(host, job, model):
        if isinstance(event, Made):
            return event
    raise RuntimeError("the job ended without pictures")


def effects(found: Sequence[Pictures], judge: Judge | None) -> list[Effect]:
    """The terms, the one that moves pictures most first; `found` begins with the pictures of all terms."""
    whole, *rest = found
    everything = _said(whole, judge)
    return sorted((_effect(whole, everything, each, judge) for each in rest), key=lambda effect: -effect.moved.value)


def _effect(whole: Pictures, everything: Sequence[Mapping[str, float]], each: Pictures, judge: Judge | None) -> Effect:
    pairs = zip(whole.pictures, each.pictures, strict=True)
    moved = [255 * float(np.sqrt(np.square(rgb(one) - rgb(other)).mean())) for one, other in pairs]
    without = _said(each, judge)
    changes = {
        name: bootstrap([one[name] - other[name] for one, other in zip(everything, without, strict=True)])
        for name in everything[0]
    }
    return Effect(each.lacking, bootstrap(moved), changes)


def _said(made: Pictures, judge: Judge | None) -> list[dict[str, float]]:
    judged = judge(made.pictures) if judge else [{}] * len(made.pictures)
    measured = [measure(Planes.of(picture)) for picture in made.pictures]
    return [
        {**{name: float(value) for name, value in said.items()}, **{name: figures[name] for name in METRICS}}
        for said, figures in zip(judged, measured, strict=True)
    ]
