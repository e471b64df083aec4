"""Makes the pictures of the five arms, whatever of them is not there yet, and logs what is measured of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.compare import BLANK, Setting, Way, blank
from lib_sticky.lab.manifest import Manifest
from lib_sticky.lab.metrics import measure
from lib_sticky.lab.pictures import rgb
from lib_sticky.lab.png import save
from lib_sticky.studio.comparing import Progress, picture_key, strip_key
from lib_sticky.studio.judging import judge_for
from lib_sticky.studio.making import Made, make
from lib_sticky.studio.neglora.arms import ABOUT, Comparison
from lib_sticky.studio.strips import FAST, strip_of
from lib_sticky.studio.watching import Watch, summary


@dataclass(frozen=True)
class Comparing:
    """One comparison on one host, in one folder; `model` is the model's file, whose own judges are used if it ships."""

    host: Diffusers
    comparison: Comparison
    model: Path
    folder: Path

    def run(self) -> Iterator[Progress]:
        """Make what is missing; stop asking, or interrupt, to cancel: finished pictures stay and are not made again."""
        manifest = Manifest(self.folder)
        done = 0
        for setting in self.comparison.settings:
            for arm in ABOUT:
                for index in range(self.comparison.pictures):
                    if not self._there(manifest, setting, arm, index):
                        title = f"{arm.value} {ABOUT[arm]}, {setting.label}"
                        yield Progress(done, self.comparison.total, title, 0, 0)
                        self._make(manifest, setting, arm, index)
                    done += 1
        yield Progress(done, self.comparison.total, "done", 0, 0)

    def _there(self, manifest: Manifest, setting: Setting, arm: Way, index: int) -> bool:
        keys = [picture_key(setting, arm, self.comparison.base.seed + index)]
        keys += [] if index else [strip_key(setting, arm)]
        return all(manifest.matching(key) for key in keys)

    def _make(self, manifest: Manifest, setting: Setting, arm: Way, index: int) -> None:
        started = time.perf_counter()
        job = self.comparison.job(setting, arm, index)
        watch = Watch(strip=not index, empty=None)
        made: Made | None = None
        for event in make(self.host, job, self.model.stem):
            if isinstance(event, Made):
                made = event
            else:
                watch.see(event)
        if made is None:
            raise RuntimeError("the job ended without a picture")
        picture, text = made.pictures[0], made.infotexts[0]
        name = f"{setting.name}-{arm.value}"
        if not index:
            strip = strip_of(self.host, made, watch, FAST, f"{arm.value} {ABOUT[arm]}, seed {job.seed}")
            manifest.add(strip_key(setting, arm), save(strip, self.folder / "filmstrips", name, text), {})
        judge = judge_for(self.model, job.prompt, self.comparison.settings)
        said = {BLANK: blank(rgb(picture)), **(judge([picture])[0] if judge else {})}
        measured = {**measure(picture), **summary(watch.steps[0])}
        path = save(picture, self.folder / "pictures" / name, str(job.seed), text)
        about = {"infotext": text, "said": said, "measured": measured, "steps": [asdict(s) for s in watch.steps[0]]}
        manifest.add(picture_key(setting, arm, job.seed), path, about)
        manifest.note(calls=watch.calls, seconds=time.perf_counter() - started)
