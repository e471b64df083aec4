"""Untitled runs as jobs: pictures made, saved and scored one batch after another, and the votes on them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib_sticky.api.job_queue import Active, Job
from lib_sticky.api.painting_queue import PaintingQueue
from lib_sticky.api.untitled_orders import DEFAULTS, Order
from lib_sticky.config import ConfigError, changed
from lib_sticky.hosts.painter import Batch, Painted, Painter
from lib_sticky.lab.likeness import identity
from lib_sticky.lab.pictures import rgb
from lib_sticky.lab.png import save, small_uri
from lib_sticky.lab.worth import scored
from lib_sticky.lab.yields import Drawn, drawn
from lib_sticky.votes import Vote, Votes

VOTES = "votes.sqlite3"


@dataclass(frozen=True)
class Picture:
    """A finished picture; `drawn.kept` by the run's rule, `small` a thumbnail as a data URI."""

    preset: str
    drawn: Drawn
    sha256: str
    file: Path
    infotext: str
    acted: str
    scores: dict[str, float]
    said: dict[str, bool]
    small: str


@dataclass(frozen=True)
class Run(Active):
    """How far a run is: queued, running, done, failed or cancelled; `message` says it in words."""

    id: str
    name: str
    order: Order
    folder: Path
    state: str = "queued"
    message: str = "waiting for the runs before it"
    seconds_left: float | None = None
    model: str = ""
    model_hash: str = ""
    rule: str = ""
    pictures: tuple[Picture, ...] = field(default=(), repr=False)

    def of(self, preset: str) -> list[Picture]:
        """The finished pictures of a preset, by seed."""
        found = [each for each in self.pictures if each.preset == preset]
        return sorted(found, key=lambda each: each.drawn.seed)

    def vote(self, picture: Picture, kept: bool) -> Vote:
        """A vote of now on one of its pictures."""
        order = self.order
        settings = {name: getattr(order, name) for name in DEFAULTS if name not in ("presets", "seeds", "seed", "null")}
        return Vote(
            picture.sha256, self.model, self.model_hash, picture.preset, picture.drawn.seed,
            changed(order.config(picture.preset)), settings, picture.scores, kept, time.time(),
        )  # fmt: skip


class Runs(PaintingQueue[Order, Run]):
    """Runs of one host; pictures and votes go below `folder`."""

    def __init__(self, painter: Painter, folder: Path) -> None:
        super().__init__("sticky-untitled", painter)
        self._folder = folder
        self.votes = Votes(folder / VOTES)

    def queued(self, job_id: str, order: Order) -> Run:
        name = f"{time.strftime('%Y-%m-%d %H.%M.%S')} {job_id[:4]}"
        return Run(job_id, name, order, self._folder / "untitled" / name.replace(" ", "-"))

    def do(self, job: Job[Order, Run]) -> None:
        began, order = time.monotonic(), job.order
        self.tell(job, message="waiting for the model")
        try:
            for seeds, preset in _batches(order):
                painted = self.painter.paint(Batch(order, order.config(preset), seeds), job.stop.is_set)
                if painted is None:
                    made = len(job.state.pictures)
                    self.tell(job, state="cancelled", message=f"cancelled; {made} pictures are kept", seconds_left=None)
                    return
                made = (*job.state.pictures, *self._saved(job.state, preset, seeds, painted))
                left = (time.monotonic() - began) / len(made) * (order.total - len(made))
                self.tell(
                    job, message="making pictures", pictures=made, seconds_left=left, model=painted.model,
                    model_hash=painted.model_hash, rule=painted.rule,
                )  # fmt: skip
        except (ConfigError, OSError, RuntimeError) as error:
            self.tell(job, state="failed", message=str(error), seconds_left=None)
        else:
            self.tell(job, state="done", message="done", seconds_left=None)

    def vote(self, run: Run, sha256: str, kept: bool | None) -> None:
        """Keep, reject, or withdraw the vote (None) on every picture of the run with these pixels.

        ConfigError where the run has no such picture, or where the file of votes cannot be used.
        """
        found = [each for each in run.pictures if each.sha256 == sha256]
        if not found:
            raise ConfigError("sha256", f"this run has no picture {sha256[:80]!r}")
        votes = [run.vote(each, bool(kept)) for each in found]
        if kept is None:
            self.votes.withdraw([vote.key for vote in votes])
        else:
            self.votes.cast(votes)

    def _saved(self, run: Run, preset: str, seeds: range, painted: Painted) -> Iterator[Picture]:
        if run.pictures and (painted.model, painted.model_hash) != (run.model, run.model_hash):
            raise RuntimeError(f"another model was loaded ({painted.model} after {run.model}); the run ends here")
        rows: Sequence[Any] = list(zip(seeds, painted.pictures, painted.infotexts, painted.judged, strict=True))
        for seed, picture, infotext, judged in rows:
            file = save(picture, run.folder / "pictures" / preset, str(seed), infotext)
            about = scored(picture, judged)
            yield Picture(
                preset, drawn(seed, about["kept"], rgb(picture)), identity(picture), file, infotext, painted.acted,
                about["measured"], about["said"], small_uri(picture),
            )  # fmt: skip


def _batches(order: Order) -> Iterator[tuple[range, str]]:
    """Some seeds of every preset before the next seeds, so that an unfinished run can be compared too."""
    last = order.seed + order.seeds
    for first in range(order.seed, last, order.batch):
        seeds = range(first, min(first + order.batch, last))
        yield from ((seeds, preset) for preset in order.presets)
