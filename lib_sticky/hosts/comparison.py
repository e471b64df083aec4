"""A comparison inside a WebUI: every batch of every arm is one run of the host's own processing, on copies of the job.

It runs where the job itself would be sampled, under the host's queue lock and with the arguments of all scripts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib_sticky.config import Config, ConfigError
from lib_sticky.hosts import job, proof, watch
from lib_sticky.hosts.base import Host
from lib_sticky.hosts.checkpoints import CHECKPOINT
from lib_sticky.hosts.job_checkpoint import checkpoint, job_checkpoint
from lib_sticky.lab.asked import Asked
from lib_sticky.lab.compare import ABOUT, Arm, Setting
from lib_sticky.lab.comparing import Batch, Comparing, Made, Plan, Progress
from lib_sticky.lab.comparison_report import Reporting, Written
from lib_sticky.lab.filmstrip import ToPicture
from lib_sticky.lab.manifest import Manifest
from lib_sticky.lab.sticky_arms import ORDER, Arms, StickyTelling, scale_of
from lib_sticky.lab.watching import Watched


class Stopped(Exception):
    """The host was told to stop; what was finished before stays."""


@dataclass(frozen=True)
class Told:
    """Where a comparison says how far it is, and hears that it is to end."""

    progress: Callable[[Progress], None]
    stopped: Callable[[], bool]


@dataclass(frozen=True)
class Order:
    """A comparison to make of the job `p` as the host has it, whose argument `slot` is the dict of our fields.

    model: the names of all checkpoints.
    """

    p: Any
    slot: int
    arms: Arms
    plan: Plan
    model: str


class HostMaker:
    """Makes batches through the host."""

    def __init__(self, order: Order, told: Told, run: Callable[[Any], Any]) -> None:
        self._order, self._told, self._run = order, told, run
        self._done = Progress(0, order.plan.pictures, "", 0, 0)

    def decoder(self, setting: Setting) -> ToPicture | None:
        """The strips of a comparison are coloured by a fitted map."""
        del setting
        return None

    def make(self, batch: Batch, manifest: Manifest) -> Iterator[tuple[int, int] | Made]:
        setting, arm = batch.setting, batch.arm
        scale = scale_of(manifest, self._order.plan, setting, arm)
        seen = Watched(strip=batch.strip)
        watching = watch.JobWatch(seen, probing=arm is Arm.STICKY, called=self._called)
        try:
            processed = self._run(self._job(batch, scale, watching))
        finally:
            manifest.note(calls=seen.calls, probes=len(seen.probes))
        if _cut_short():
            raise Stopped
        if watching.failed:
            raise RuntimeError(watching.failed)
        first = processed.index_of_first_image
        pictures = processed.images[first : first + batch.count]
        if len(pictures) < batch.count or len(seen.steps) < batch.count:
            raise ConfigError("compare", "the host made no picture whose steps could be seen; is this an image editing "
                              "model, or does another extension sample in its place?")  # fmt: skip
        texts = processed.infotexts[first : first + batch.count]
        title = f"{arm.value} {ABOUT[arm]}, CFG {scale:g}, seed {batch.seed}"
        yield Made(pictures, texts, [{}] * batch.count, seen, title)

    def _job(self, batch: Batch, scale: float, watching: watch.JobWatch) -> Any:
        """A copy of the job, as grids of the host make them, with what the arm has in place of the page's."""
        order, setting = self._order, batch.setting
        p = copy.copy(order.p)
        for name in (job.ATTRIBUTE, job.OVERRIDES, proof.ATTRIBUTE):
            p.__dict__.pop(name, None)
        p.styles = list(p.styles or [])
        p.extra_generation_params = dict(p.extra_generation_params)
        p.override_settings = dict(p.override_settings)
        if setting.model:
            p.override_settings[CHECKPOINT] = setting.model
        p.seed, p.subseed_strength, p.batch_size, p.n_iter = batch.seed, 0, batch.count, 1
        p.cfg_scale = p.hr_cfg = scale
        p.negative_prompt = order.arms.negative(batch.arm)
        p.hr_negative_prompt = ""
        p.do_not_save_samples = p.do_not_save_grid = True
        arguments = list(p.script_args)
        arguments[order.slot] = asdict(order.arms.of_arm(batch.arm))
        p.script_args = tuple(arguments)
        setattr(p, watch.ATTRIBUTE, watching)
        return p

    def _called(self, step: int, steps: int) -> None:
        """Within the run that is being sampled, so that no other job can be the one that is stopped."""
        self._told.progress(Progress(self._done.done, self._done.pictures, self._done.making, step, steps))
        if self._told.stopped():
            from modules import shared

            shared.state.interrupt()

    def at(self, progress: Progress) -> None:
        """Remember which batch is being made."""
        self._done = progress
        self._told.progress(progress)


def _cut_short() -> bool:
    """Whether the host was told to end, or to skip a picture, which leaves one half made."""
    from modules import shared

    return bool(shared.state.interrupted or shared.state.skipped)


def _ending() -> bool:
    """Whether the host was told to end, be it after the picture that it was at."""
    from modules import shared

    return _cut_short() or bool(getattr(shared.state, "stopping_generation", False))


def ordered(p: Any, host: Host, config: Config, asked: Asked, slot: int) -> Order:
    """What is to be made of the job `p`. ConfigError that names the field at fault."""
    if not isinstance(p.prompt, str) or not p.prompt.strip():
        raise ConfigError("prompt", "is empty; a sticky negative needs a prompt to track")
    if p.steps < 2:
        raise ConfigError("steps", f"{p.steps} are too few for a comparison; use more")
    host.load()

    def count(text: str) -> int:
        found = host.count_tokens(text)
        if found is None:
            raise ConfigError("compare", "the host has no model loaded; make one picture first")
        return found

    models = [checkpoint("checkpoints", name).name for name in asked.checkpoints]
    settings = tuple(Setting(cfg, p.steps, p.width, p.height, model) for model in models or [""] for cfg in asked.cfg)
    # Masks and the like stand between the pictures of a larger batch of img2img.
    batch = 1 if getattr(p, "init_images", None) else p.batch_size
    first = p.seed if isinstance(p.seed, int) and p.seed >= 0 else 1
    plan = Plan(settings, ORDER, first, asked.seeds, batch)
    model = ", ".join(models) or job_checkpoint(p).name
    return Order(p, slot, Arms.of(config, count), plan, model)


def made(host: Host, order: Order, folder: Path, told: Told) -> Written:
    """Make what is missing and write the report. Stopped where the host was told to end."""
    from modules import processing, shared

    maker = HostMaker(order, told, processing.process_images)
    shared.state.job_count = -(-order.plan.seeds // order.plan.batch) * len(order.plan.settings) * len(ORDER)
    for progress in Comparing(order.plan, maker, folder).run():
        maker.at(progress)
        if told.stopped() or _ending():
            raise Stopped
    p, by = order.p, f"{host.name} {host.version()}"
    telling = StickyTelling(order.arms, order.plan, Manifest(folder), p.prompt, order.model, str(p.sampler_name), by)
    return Reporting(order.plan, telling, folder).write()
