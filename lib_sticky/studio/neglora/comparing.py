"""Makes the pictures of the five arms (see lab/comparing.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.compare import Setting
from lib_sticky.lab.comparing import Batch, Made
from lib_sticky.lab.filmstrip import ToPicture
from lib_sticky.lab.manifest import Manifest
from lib_sticky.studio.comparing import watched
from lib_sticky.studio.judging import judge_for
from lib_sticky.studio.neglora.arms import ABOUT, Comparison
from lib_sticky.studio.watching import Watch


@dataclass(frozen=True)
class LoraMaker:
    """Makes pictures of `comparison`; `model` is the model's file, whose own judges are used if it ships."""

    host: Diffusers
    comparison: Comparison
    model: Path

    def decoder(self, setting: Setting) -> ToPicture | None:
        del setting
        return None

    def make(self, batch: Batch, manifest: Manifest) -> Iterator[tuple[int, int] | Made]:
        job = self.comparison.job(batch.setting, batch.arm, batch.seed)
        title = f"{batch.arm.value} {ABOUT[batch.arm]}, seed {job.seed}"
        judge = judge_for(self.model, job.prompt, self.comparison.settings)
        yield from watched(self.host, job, self.model.stem, Watch(batch.strip), manifest, title, judge)
