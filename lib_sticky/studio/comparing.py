"""Makes the pictures of a comparison in the studio (see lab/comparing.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from lib_sticky import __version__
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.compare import ABOUT, Arm, Setting
from lib_sticky.lab.comparing import Batch, Made
from lib_sticky.lab.comparison_report import Reporting
from lib_sticky.lab.filmstrip import ToPicture
from lib_sticky.lab.manifest import Manifest
from lib_sticky.lab.sticky_arms import StickyTelling, scale_of
from lib_sticky.studio import making
from lib_sticky.studio.arms import Comparison
from lib_sticky.studio.job import Job
from lib_sticky.studio.probe import EmptyPrompt
from lib_sticky.studio.strips import FAST, decoder
from lib_sticky.studio.watching import Watch

Judge = Callable[[Sequence[Image.Image]], Sequence[Mapping[str, bool]]]
"""What is true of each picture, by name; the same names for all."""

Open = Callable[[str], Diffusers]
"""Opens the model of a setting, "" where there is only one."""


@dataclass(frozen=True)
class StudioMaker:
    """Makes batches of `comparison`; `model` names the only model, `strips` says how filmstrips are coloured."""

    open: Open
    comparison: Comparison
    model: str
    judge: Judge | None = None
    strips: str = FAST

    def decoder(self, setting: Setting) -> ToPicture | None:
        return decoder(self.open(setting.model), self.strips)

    def make(self, batch: Batch, manifest: Manifest) -> Iterator[tuple[int, int] | Made]:
        setting, arm = batch.setting, batch.arm
        host = self.open(setting.model)
        scale = scale_of(manifest, self.comparison.plan, setting, arm)
        job = replace(self.comparison.job(setting, arm, scale), seed=batch.seed, batch=batch.count)
        watch = Watch(batch.strip, empty=EmptyPrompt(host, job) if arm is Arm.STICKY else None)
        title = f"{arm.value} {ABOUT[arm]}, CFG {job.cfg:g}, seed {job.seed}"
        yield from watched(host, job, setting.model or self.model, watch, manifest, title, self.judge)


def watched(
    host: Diffusers, job: Job, model: str, watch: Watch, manifest: Manifest, title: str, judge: Judge | None
) -> Iterator[tuple[int, int] | Made]:
    """Every step of a settled job, then what was made; how often the model was called is logged in any case."""
    try:
        for event in making.make(host, job, model):
            if isinstance(event, making.Made):
                said = judge(event.pictures) if judge else [{}] * len(event.pictures)
                yield Made(event.pictures, event.infotexts, said, watch, title)
            else:
                watch.see(event)
                yield event.step, event.steps
    finally:
        manifest.note(calls=watch.calls, probes=len(watch.probes))


def reported(maker: StudioMaker, folder: Path, command: str) -> Path:
    """Write the report of a finished comparison, which `command` makes again; its path."""
    comparison, plan = maker.comparison, maker.comparison.plan
    base, by = comparison.base, f"sticky studio {__version__}: {command}"
    telling = StickyTelling(comparison.arms, plan, Manifest(folder), base.prompt, maker.model, base.sampler, by)
    return Reporting(plan, telling, folder).write().path


def one_model(host: Diffusers) -> Open:
    """Gives `host` for every setting."""
    return lambda _model: host
