"""Makes the pictures of a comparison, whatever of them is not there yet, and logs what it finds out on the way.

The same on every host: a `Maker` makes a batch, and everything else happens here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from .compare import BLANK, Setting, Way, blank
from .contrast import nothing_stands_out
from .filmstrip import ToPicture, coloured, filmstrip, fit_colours
from .manifest import Manifest
from .metrics import measure
from .planes import Planes
from .png import save
from .watching import Watched, summary


@dataclass(frozen=True)
class Progress:
    """How far a comparison is; `step` of `steps` within the batch that is being made."""

    done: int
    pictures: int
    making: str
    step: int
    steps: int


@dataclass(frozen=True)
class Plan:
    """What is made: every arm under every setting, from `seeds` seeds in a row, in batches of `batch`.

    arms: in the order in which they are made, with what each is called.
    """

    settings: tuple[Setting, ...]
    arms: Mapping[Way, str]
    first: int
    seeds: int
    batch: int

    @property
    def pictures(self) -> int:
        """How many there will be."""
        return len(self.settings) * len(self.arms) * self.seeds

    def all_seeds(self) -> range:
        return range(self.first, self.first + self.seeds)


@dataclass(frozen=True)
class Batch:
    """`count` seeds in a row of one arm. strip: whether the filmstrip of the first is drawn."""

    setting: Setting
    arm: Way
    seed: int
    count: int
    strip: bool


@dataclass(frozen=True)
class Made:
    """What became of a batch: for each seed a picture, its infotext, and what is true of it or not.

    title: of the filmstrip.
    """

    pictures: Sequence[Image.Image]
    infotexts: Sequence[str]
    said: Sequence[Mapping[str, bool]]
    watched: Watched
    title: str


class Maker(Protocol):
    """What makes pictures."""

    def decoder(self, setting: Setting) -> ToPicture | None:
        """How a prediction becomes a picture; None for a map that is fitted to the finished pictures."""
        ...

    def make(self, batch: Batch, manifest: Manifest) -> Iterator[tuple[int, int] | Made]:
        """(step, steps) as often as there is something to say, then what was made."""
        ...


@dataclass(frozen=True)
class Comparing:
    """One comparison in one folder."""

    plan: Plan
    maker: Maker
    folder: Path

    def run(self) -> Iterator[Progress]:
        """Make what is missing; stop asking, or interrupt, to cancel: finished pictures stay and are not made again."""
        manifest = Manifest(self.folder)
        done = 0
        for setting in self.plan.settings:
            for arm in self.plan.arms:
                for batch in self._batches(setting, arm):
                    yield from self._batch(manifest, batch, done)
                    done += batch.count
        yield Progress(done, self.plan.pictures, "done", 0, 0)

    def _batches(self, setting: Setting, arm: Way) -> Iterator[Batch]:
        """The cut does not depend on what is there already, since it shows in the pictures' last bits."""
        for index in range(0, self.plan.seeds, self.plan.batch):
            count = min(self.plan.batch, self.plan.seeds - index)
            yield Batch(setting, arm, self.plan.first + index, count, strip=not index)

    def _batch(self, manifest: Manifest, batch: Batch, done: int) -> Iterator[Progress]:
        setting, arm = batch.setting, batch.arm
        wanted = [picture_key(setting, arm, batch.seed + index) for index in range(batch.count)]
        wanted += [strip_key(setting, arm)] if batch.strip else []
        missing = {key for key in wanted if manifest.matching(key) is None}
        if not missing:
            return
        title = f"{arm.value} {self.plan.arms[arm]}, {setting.label}"
        yield Progress(done, self.plan.pictures, title, 0, 0)
        started = time.perf_counter()
        for event in self.maker.make(batch, manifest):
            if isinstance(event, Made):
                sampled = time.perf_counter()
                self._keep(manifest, batch, event, missing)
                watching = event.watched.seconds
                manifest.note(seconds={
                    "sampling": sampled - started - watching,
                    "measuring": time.perf_counter() - sampled + watching,
                })  # fmt: skip
            else:
                yield Progress(done, self.plan.pictures, title, *event)

    def _keep(self, manifest: Manifest, batch: Batch, made: Made, missing: set[str]) -> None:
        """Save what is missing; the filmstrip first, so that complete pictures mean a complete filmstrip."""
        name, watched = f"{batch.setting.name}-{batch.arm.value}", made.watched
        if strip_key(batch.setting, batch.arm) in missing:
            strip = filmstrip(watched.strip_frames(), self._to_picture(manifest, batch, made), made.title)
            path = save(strip, self.folder / "filmstrips", name, made.infotexts[0], quick=True)
            manifest.add(strip_key(batch.setting, batch.arm), path, {})
        for index, (picture, text) in enumerate(zip(made.pictures, made.infotexts, strict=True)):
            key = picture_key(batch.setting, batch.arm, batch.seed + index)
            if key not in missing:
                continue
            path = save(picture, self.folder / "pictures" / name, str(batch.seed + index), text)
            planes = Planes.of(picture)
            said = {BLANK: blank(planes), "nothing stands out": nothing_stands_out(planes), **made.said[index]}
            steps = watched.steps[index]
            about = {
                "infotext": text, "said": said, "measured": {**measure(planes), **summary(steps)},
                "steps": [asdict(step) for step in steps],
                "probes": [asdict(each[index]) for each in watched.probes],
            }  # fmt: skip
            manifest.add(key, path, about)

    def _to_picture(self, manifest: Manifest, batch: Batch, made: Made) -> ToPicture:
        """How predictions become pictures: one map for each model, so that its strips can be compared."""
        if decoder := self.maker.decoder(batch.setting):
            return decoder
        model = batch.setting.model
        fitted = next((found["map"] for found in manifest.notes("colour map") if found["model"] == model), None)
        if fitted is None:
            fitted = fit_colours(list(made.watched.latents()), made.pictures).tolist()
            manifest.note(**{"colour map": {"model": model, "map": fitted}})
        linear = np.asarray(fitted)
        return lambda latent: coloured(latent, linear)


def picture_key(setting: Setting, arm: Way, seed: int) -> str:
    """The manifest's name for a picture."""
    return f"{setting.name}/{arm.value}/{seed}"


def strip_key(setting: Setting, arm: Way) -> str:
    """The manifest's name for a filmstrip."""
    return f"{setting.name}/{arm.value}/filmstrip"
