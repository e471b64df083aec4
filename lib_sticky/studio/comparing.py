"""Makes the pictures of a comparison, whatever of them is not there yet, and logs what it finds out on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.compare import ABOUT, BLANK, Arm, Setting, Way, blank
from lib_sticky.lab.contrast import nothing_stands_out
from lib_sticky.lab.filmstrip import ToPicture, filmstrip
from lib_sticky.lab.manifest import Manifest
from lib_sticky.lab.metrics import measure
from lib_sticky.lab.pictures import rgb
from lib_sticky.lab.png import save
from lib_sticky.studio.arms import Comparison
from lib_sticky.studio.job import Job
from lib_sticky.studio.making import Made, make
from lib_sticky.studio.probe import EmptyPrompt, Probe, matched_scale
from lib_sticky.studio.strips import FAST, VAE, colours, to_picture
from lib_sticky.studio.watching import Watch, summary

ORDER = (Arm.EMPTY, Arm.STICKY, Arm.TERMS, Arm.PLACEBO, Arm.MATCHED)
"""A4 comes after A2, whose measured scale it takes."""

Judge = Callable[[Sequence[Image.Image]], Sequence[Mapping[str, bool]]]
"""What is true of each picture, by name; the same names for all."""


@dataclass(frozen=True)
class Progress:
    """How far a comparison is; `step` of `steps` within the batch that is being made."""

    done: int
    pictures: int
    making: str
    step: int
    steps: int


@dataclass(frozen=True)
class Comparing:
    """One comparison on one host, in one folder; `strips` says how filmstrips are coloured."""

    host: Diffusers
    comparison: Comparison
    model: str
    folder: Path
    judge: Judge | None = None
    strips: str = FAST

    def run(self) -> Iterator[Progress]:
        """Make what is missing; stop asking, or interrupt, to cancel: finished pictures stay and are not made again."""
        manifest = Manifest(self.folder)
        done = 0
        for setting in self.comparison.settings:
            for arm in ORDER:
                for batch in self._batches(manifest, setting, arm):
                    yield from self._batch(manifest, setting, arm, batch, done)
                    done += batch.batch
        yield Progress(done, self.comparison.pictures, "done", 0, 0)

    def _batches(self, manifest: Manifest, setting: Setting, arm: Arm) -> Iterator[Job]:
        """The jobs of one arm; the cut does not depend on what is there, since it shows in the pictures' last bits."""
        job = self.comparison.job(setting, arm, scale_of(manifest, self.comparison, setting, arm))
        for first in range(0, self.comparison.seeds, job.batch):
            count = min(job.batch, self.comparison.seeds - first)
            yield replace(job, seed=self.comparison.base.seed + first, batch=count)

    def _batch(self, manifest: Manifest, setting: Setting, arm: Arm, job: Job, done: int) -> Iterator[Progress]:
        wants_strip = job.seed == self.comparison.base.seed
        wanted = [picture_key(setting, arm, job.seed + index) for index in range(job.batch)]
        wanted += [strip_key(setting, arm)] if wants_strip else []
        missing = {key for key in wanted if manifest.matching(key) is None}
        if not missing:
            return
        watch = Watch(wants_strip, EmptyPrompt(self.host, job) if arm is Arm.STICKY else None)
        title = f"{arm.value} {ABOUT[arm]}, {setting.label}"
        started = time.perf_counter()
        try:
            made = yield from self._watched(job, watch, lambda step, steps: Progress(
                done, self.comparison.pictures, title, step, steps))  # fmt: skip
            sampled = time.perf_counter()
            self._keep(manifest, setting, arm, made, watch, missing)
            measured = time.perf_counter() - sampled
        finally:
            manifest.note(calls=watch.calls, probes=watch.probe_calls)
        manifest.note(seconds={"sampling": sampled - started - watch.seconds, "measuring": measured + watch.seconds})

    def _watched(self, job: Job, watch: Watch, progress: Callable[[int, int], Progress]) -> Any:
        for event in make(self.host, job, self.model):
            if isinstance(event, Made):
                return event
            watch.see(event)
            yield progress(event.step, event.steps)
        raise RuntimeError("the job ended without pictures")

    def _keep(
        self, manifest: Manifest, setting: Setting, arm: Arm, made: Made, watch: Watch, missing: set[str]
    ) -> None:
        """Save what is missing; the filmstrip first, so that complete pictures mean a complete filmstrip."""
        if strip_key(setting, arm) in missing:
            title = f"{arm.value} {ABOUT[arm]}, CFG {made.job.cfg:g}, seed {made.job.seed}"
            strip = filmstrip(watch.frames, self._to_picture(manifest, made, watch), title)
            path = save(strip, self.folder / "filmstrips", f"{setting.name}-{arm.value}", made.infotexts[0])
            manifest.add(strip_key(setting, arm), path, {})
        judged = self.judge(made.pictures) if self.judge else [{}] * len(made.pictures)
        for index, (picture, text) in enumerate(zip(made.pictures, made.infotexts, strict=True)):
            key = picture_key(setting, arm, made.job.seed + index)
            if key in missing:
                name = f"{setting.name}-{arm.value}"
                path = save(picture, self.folder / "pictures" / name, str(made.job.seed + index), text)
                values = rgb(picture)
                said = {BLANK: blank(values), "nothing stands out": nothing_stands_out(values), **judged[index]}
                about = {
                    "infotext": text, "said": said, "measured": {**measure(picture), **summary(watch.steps[index])},
                    "steps": [asdict(step) for step in watch.steps[index]],
                    "probes": [asdict(each[index]) for each in watch.probes],
                }  # fmt: skip
                manifest.add(key, path, about)

    def _to_picture(self, manifest: Manifest, made: Made, watch: Watch) -> ToPicture:
        """How predictions become pictures: one map for the whole comparison, so that its strips can be compared."""
        if self.strips == VAE:
            return to_picture(self.host, VAE, [])
        fitted = next(manifest.notes("colours"), None)
        if fitted is None:
            fitted = colours(made, watch)
            manifest.note(colours=fitted)
        return to_picture(self.host, FAST, fitted)


def picture_key(setting: Setting, arm: Way, seed: int) -> str:
    """The manifest's name for a picture."""
    return f"{setting.name}/{arm.value}/{seed}"


def strip_key(setting: Setting, arm: Way) -> str:
    """The manifest's name for a filmstrip."""
    return f"{setting.name}/{arm.value}/filmstrip"


def scale_of(manifest: Manifest, comparison: Comparison, setting: Setting, arm: Arm) -> float:
    """The CFG scale of an arm: the setting's, or for A4 the effective one of A2, once A2 is complete."""
    if arm is not Arm.MATCHED:
        return setting.cfg
    return matched_scale(setting.cfg, [probe.ratio for probe in probes(manifest, comparison, setting)])


def probes(manifest: Manifest, comparison: Comparison, setting: Setting) -> list[Probe]:
    """What was measured with the empty prompt beside A2."""
    seeds = range(comparison.base.seed, comparison.base.seed + comparison.seeds)
    entries = [manifest.entry(picture_key(setting, Arm.STICKY, seed)) for seed in seeds]
    return [Probe(**probe) for entry in entries for probe in entry.about["probes"]]
