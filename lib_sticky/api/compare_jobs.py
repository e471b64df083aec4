"""Comparisons inside a WebUI as jobs: how far each is, cancelling, and what became of it.

Those that are asked for over the API wait in the queue and then go through the host's own API; those of the page are
begun by its Generate button.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lib_sticky.api.job_queue import Active, Job, JobQueue
from lib_sticky.lab.asked import Asked
from lib_sticky.lab.comparing import Progress
from lib_sticky.lab.comparison_report import Written

STOPPED = "cancelled; finished pictures stay, and the same comparison goes on with them"


@dataclass(frozen=True)
class State(Active):
    """How far a comparison is: queued, running, done, failed or cancelled; `message` says it in words.

    done, pictures: how many are there, of how many. step, steps: within what is `making`. folder: where everything
    is; report, grids and tables are names below it.
    """

    id: str
    name: str
    state: str = "queued"
    message: str = "waiting for the jobs before it"
    done: int = 0
    pictures: int = 0
    making: str = ""
    step: int = 0
    steps: int = 0
    folder: str = ""
    report: str = ""
    grids: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """A comparison to begin. send: has the host begin it, given its id; None where the page does that."""

    name: str
    asked: Asked
    send: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Control:
    """What a comparison under way tells and asks."""

    asked: Asked
    tell: Callable[[Mapping[str, Any]], None]
    stopped: Callable[[], bool]

    def progress(self, progress: Progress) -> None:
        self.tell({
            "state": "running", "message": "making pictures", "done": progress.done, "pictures": progress.pictures,
            "making": progress.making, "step": progress.step, "steps": progress.steps,
        })  # fmt: skip

    def done(self, written: Written) -> None:
        self.tell({
            "state": "done", "message": "done", "folder": str(written.folder), "report": written.report,
            "grids": written.grids, "tables": written.tables,
        })  # fmt: skip


class Comparisons(JobQueue[Request, State]):
    """All comparisons of one WebUI. Each is begun once, whoever asks for it how often."""

    def __init__(self) -> None:
        super().__init__("sticky-compare")
        self._begun: set[str] = set()

    def queued(self, job_id: str, order: Request) -> State:
        return State(job_id, order.name)

    def do(self, job: Job[Request, State]) -> None:
        if job.order.send is None:
            raise ValueError("the page begins this comparison itself")
        job.order.send(job.state.id)
        if job.state.active:
            self.tell(job, state="failed", message="the WebUI ended the job without making the comparison")

    def expect(self, order: Request) -> str:
        """Register a comparison that the page is about to begin; its id."""
        job = Job(order, self.queued(secrets.token_hex(8), order))
        with self._changed:
            self._jobs[job.state.id] = job
            self._forget()
        return job.state.id

    def control(self, job_id: str) -> Control | None:
        """For the one who begins the comparison; None for an id that is not known or was begun before."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None or job_id in self._begun:
                return None
            self._begun = {name for name in self._begun if name in self._jobs} | {job_id}
        return Control(job.order.asked, lambda changes: self.tell(job, **changes), job.stop.is_set)
