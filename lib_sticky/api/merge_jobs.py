"""Merges as jobs: progress in bytes, and handing the result over to the host."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from lib_sticky.api import merge_unsaved
from lib_sticky.api.job_queue import Active, Job, JobQueue
from lib_sticky.api.merge_orders import Order
from lib_sticky.hosts.checkpoints import Checkpoints, LoadFailed
from lib_sticky.merge import MergeCancelled, MergeError, MergeReport, Options, merge


@dataclass(frozen=True)
class State(Active):
    """How far a job is: queued, running, done, failed or cancelled; `message` says it in words."""

    id: str
    name: str
    state: str = "queued"
    message: str = "waiting for the merges before it"
    bytes_done: int = 0
    bytes_total: int = 0
    seconds_left: float | None = None
    seconds: float | None = None
    sha256: str = ""


class Jobs(JobQueue[Order, State]):
    """Merges in the order in which they were asked for, one at a time; a running one is stopped within a chunk."""

    def __init__(self, checkpoints: Checkpoints, run: Callable[..., MergeReport] = merge) -> None:
        super().__init__("sticky-merge")
        self._checkpoints, self._run = checkpoints, run

    def queued(self, job_id: str, order: Order) -> State:
        return State(job_id, order.target.name)

    def do(self, job: Job[Order, State]) -> None:
        self.tell(job, message="reading headers and hashing the inputs")
        try:
            report = self._merged(job)
            self.tell(job, message="telling the WebUI")
            message = self._handed_over(job)
        except MergeCancelled:
            self.tell(job, state="cancelled", message="cancelled; nothing was left behind")
        except (MergeError, LoadFailed) as error:
            self.tell(job, state="failed", message=str(error))
        else:
            self.tell(job, state="done", message=message, seconds=report.seconds, sha256=report.sha256)

    def _merged(self, job: Job[Order, State]) -> MergeReport:
        def progress(done: int, total: int, left: float) -> None:
            known = left if math.isfinite(left) else None
            self.tell(job, message="merging", bytes_done=done, bytes_total=total, seconds_left=known)

        order = job.order
        options = Options(device=order.device, overwrite=order.overwrite, progress=progress, cancelled=job.stop.is_set)
        if order.unsaved:
            order.target.parent.mkdir(exist_ok=True)
        if job.stop.is_set():
            raise MergeCancelled
        folders, hashes = self._checkpoints.folders(), self._checkpoints.hashes()
        return self._run(order.recipe, order.target, folders, options, keep=order.keep, hashes=hashes)

    def _handed_over(self, job: Job[Order, State]) -> str:
        """Let the host know of the new file; load it when it is not to be kept."""
        merge_unsaved.copy_config(job.order.recipe, self._checkpoints, job.order.target)
        if not job.order.unsaved:
            self._checkpoints.refresh()
            return "done; it is in the list of checkpoints"
        try:
            self._checkpoints.load(job.order.target)
        except BaseException:
            merge_unsaved.remove(job.order.target)
            raise
        merge_unsaved.keep_only(job.order.target)
        with contextlib.suppress(OSError):
            self._checkpoints.refresh()
        return "loaded; not saved"
