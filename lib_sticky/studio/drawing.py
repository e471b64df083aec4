"""Makes the pictures of Untitled presets on the same seeds, whatever of them is not there yet, and scores them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib_sticky.guidance.report import short
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.compare import Setting
from lib_sticky.lab.manifest import Entry, Manifest
from lib_sticky.lab.png import save
from lib_sticky.lab.worth import JUDGED, MEASURED, scored
from lib_sticky.presets import UNTITLED
from lib_sticky.studio.job import Job
from lib_sticky.studio.judging import judge_for
from lib_sticky.studio.making import Made, make


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
        made = next((event for event in make(self.host, job, self.model.stem) if isinstance(event, Made)), None)
        if made is None:
            raise RuntimeError("the job ended without pictures")
        said = judge(made.pictures) if judge else [{}] * len(keys)
        for index, (key, picture) in enumerate(zip(keys, made.pictures, strict=True)):
            path = save(picture, self.folder / "pictures" / preset, str(job.seed + index), made.infotexts[index])
            manifest.add(key, path, {"acted": short(made.records), **scored(picture, said[index])})

    def _judge(self) -> Any:
        size = Setting(self.job.cfg, self.job.steps, self.job.width, self.job.height)
        return judge_for(self.model, "", [size])


def key_of(preset: str, seed: int) -> str:
    """The manifest's name for a picture."""
    return f"{preset}/{seed}"


def entries(drawing: Drawing, preset: str) -> list[Entry]:
    """The finished pictures of a preset, by seed."""
    manifest = Manifest(drawing.folder)
    return [manifest.entry(key_of(preset, drawing.job.seed + index)) for index in range(drawing.seeds)]
