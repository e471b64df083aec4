"""Sets of wrong pictures as jobs: made one after another into a folder to train on, resumable at any picture."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from lib_sticky.api.job_queue import Active, Job
from lib_sticky.api.painting_queue import PaintingQueue
from lib_sticky.api.wrong_orders import Order
from lib_sticky.config import Config, ConfigError
from lib_sticky.hosts.painter import Batch, Model, Painter, Prompts
from lib_sticky.lab.contact_sheet import write_contact_sheet
from lib_sticky.lab.dataset import MANIFEST, Dataset, DatasetError
from lib_sticky.prompt.wrong import Shot


@dataclass(frozen=True)
class Making(Active):
    """How far a set is: queued, running, done, failed or cancelled; `message` says it in words."""

    id: str
    name: str
    folder: Path
    state: str = "queued"
    message: str = "waiting for the sets before it"
    done: int = 0
    total: int = 0
    seconds_left: float | None = None


class WrongPictures(PaintingQueue[Order, Making]):
    """Sets of one host, each in a folder of its own below `folder`."""

    def __init__(self, painter: Painter, folder: Path) -> None:
        super().__init__("sticky-wrong-pictures", painter)
        self.folder = folder

    def sets(self) -> list[str]:
        """The names of the sets that have pictures."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{MANIFEST}"))

    def queued(self, job_id: str, order: Order) -> Making:
        return Making(job_id, order.name, self.folder / order.name, total=order.recipe.pictures)

    def do(self, job: Job[Order, Making]) -> None:
        try:
            self._make(job)
        except (ConfigError, DatasetError, OSError, RuntimeError) as error:
            self.tell(job, state="failed", message=str(error), seconds_left=None)

    def _make(self, job: Job[Order, Making]) -> None:
        order, recipe = job.order, job.order.recipe
        self.tell(job, message="reading the model's hash")
        model = self.painter.model()
        told = {**order.told(), "model": model.path.name, "model sha256": model.sha256}
        dataset = Dataset(job.state.folder, order.caption, told)
        missing, began = list(dataset.missing(recipe)), time.monotonic()
        for number, shot in enumerate(missing):
            left = (time.monotonic() - began) / number * (len(missing) - number) if number else None
            done = recipe.pictures - len(missing) + number
            self.tell(job, message=f"{shot.word}, CFG {shot.cfg:g}", done=done, seconds_left=left)
            if not self._made(job, dataset, shot, model):
                kept = f"cancelled; {done} pictures are kept, the same settings go on from there"
                self.tell(job, state="cancelled", message=kept, seconds_left=None)
                return
        write_contact_sheet(dataset, recipe)
        self.tell(job, state="done", message=f"done: {dataset.folder}", done=recipe.pictures, seconds_left=None)

    def _made(self, job: Job[Order, Making], dataset: Dataset, shot: Shot, model: Model) -> bool:
        """Whether the picture was made, and not stopped."""
        order = job.order
        seeds, prompts = range(shot.seed, shot.seed + 1), Prompts(shot.prompt, order.negative)
        painted = self.painter.paint(Batch(order.settings(shot.cfg), Config(), seeds, prompts), job.stop.is_set)
        if painted is None:
            return False
        if painted.model != model.name:
            raise RuntimeError(f"another model was loaded ({painted.model} after {model.name}); the set ends here")
        dataset.add(shot, painted.pictures[0], painted.infotexts[0])
        return True
