"""Makes the pictures of Untitled presets on the same seeds, whatever of them is not there yet, and scores them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from lib_sticky.guidance.report import short
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.compare import BLANK, Setting, blank
from lib_sticky.lab.manifest import Entry, Manifest
from lib_sticky.lab.metrics import measure
from lib_sticky.lab.pictures import rgb
from lib_sticky.presets import UNTITLED
from lib_sticky.studio.job import Job
from lib_sticky.studio.judging import judge_for
from lib_sticky.studio.making import Made, make
from lib_sticky.studio.png import save

CLEAN = "judged clean, and not blank"
NOISE = 0.15
"""Noise, as the metric of that name, above which a picture is no picture."""

JUDGED = (
    "A picture counts as worth keeping where the shipped model's own judges call it clean and it is not blank. They "
    "are small networks that know only this model's world of plain shapes (docs/MODEL.md has how often they err)."
)
MEASURED = (
    "Without votes, a picture counts as worth keeping where it is neither blank (a plain ground of any colour) nor "
    f"noise (the metric of that name above {NOISE:g}). That is a floor and no taste: keep and reject for yourself."
)


@dataclass(frozen=True)
class Drawing:
    """Some presets on `seeds` seeds from the job's on, in one folder; finished pictures are not made again."""

    host: Diffusers
    model: Path
    job: Job
    presets: Sequence[str]
    seeds: int
    folder: Path

    @property
    def rule(self) -> str:
        """What counts as worth keeping, in words."""
        return JUDGED if self._judge() else MEASURED

    def run(self) -> Iterator[tuple[str, int, int]]:
        """Make what is missing: the preset, and how many pictures of all are there."""
        manifest, judge = Manifest(self.folder), self._judge()
        done = 0
        for preset in self.presets:
            for first in range(0, self.seeds, self.job.batch):
                count = min(self.job.batch, self.seeds - first)
                job = replace(self.job, seed=self.job.seed + first, batch=count, config=UNTITLED[preset])
                keys = [key_of(preset, job.seed + index) for index in range(count)]
                if any(manifest.matching(key) is None for key in keys):
                    self._make(manifest, preset, job, keys, judge)
                done += count
                yield preset, done, len(self.presets) * self.seeds

    def _make(self, manifest: Manifest, preset: str, job: Job, keys: Sequence[str], judge: Any) -> None:
        records = []
        made: Made | None = None
        for event in make(self.host, job, self.model.stem):
            if isinstance(event, Made):
                made = event
            else:
                records.append(event.guided.record)
        if made is None:
            raise RuntimeError("the job ended without pictures")
        said = judge(made.pictures) if judge else [{}] * len(keys)
        for index, (key, picture) in enumerate(zip(keys, made.pictures, strict=True)):
            path = save(picture, self.folder / "pictures" / preset, str(job.seed + index), made.infotexts[index])
            manifest.add(key, path, {"acted": short(records), **scored(picture, said[index])})

    def _judge(self) -> Any:
        size = Setting(self.job.cfg, self.job.steps, self.job.width, self.job.height)
        return judge_for(self.model, "", [size])


def scored(picture: Image.Image, judged: Mapping[str, bool]) -> dict[str, Any]:
    """Whether the picture is worth keeping, and all its metrics."""
    values = rgb(picture)
    measured = measure(values)
    floor = not blank(values) and measured["noise"] <= NOISE
    kept = judged[CLEAN] and not blank(values) if CLEAN in judged else floor
    return {"kept": bool(kept), "said": {BLANK: blank(values), **judged}, "measured": measured}


def key_of(preset: str, seed: int) -> str:
    """The manifest's name for a picture."""
    return f"{preset}/{seed}"


def entries(drawing: Drawing, preset: str) -> list[Entry]:
    """The finished pictures of a preset, by seed."""
    manifest = Manifest(drawing.folder)
    return [manifest.entry(key_of(preset, drawing.job.seed + index)) for index in range(drawing.seeds)]
