"""A queue of merges: one worker thread, progress that anybody may read, cancel, and what became of each."""

from __future__ import annotations

import contextlib
import math
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lib_sticky.api import merge_unsaved
from lib_sticky.api.merge_orders import Order
from lib_sticky.hosts.checkpoints import Checkpoints, LoadFailed
from lib_sticky.merge import MergeCancelled, MergeError, MergeReport, Options, merge

REMEMBERED = 50
ACTIVE = ("queued", "running")


@dataclass(frozen=True)
class State:
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

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


@dataclass
class _Job:
    order: Order
    state: State
    stop: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """Merges in the order in which they were asked for, one at a time."""

    def __init__(self, checkpoints: Checkpoints, run: Callable[..., MergeReport] = merge) -> None:
        self._checkpoints, self._run = checkpoints, run
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False

    def submit(self, order: Order) -> str:
        """Queue a merge and return the id by which it is known."""
        job = _Job(order, State(secrets.token_hex(8), order.target.name))
        with self._changed:
            self._jobs[job.state.id] = job
            self._waiting.append(job)
            self._forget()
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="sticky-merge", daemon=True)
                self._worker.start()
            self._changed.notify()
        return job.state.id

    def state(self, job_id: str) -> State | None:
        """What became of a job, or None for one that is not known or was long ago."""
        with self._changed:
            job = self._jobs.get(job_id)
            return job.state if job else None

    def states(self) -> tuple[State, ...]:
        """All remembered jobs, oldest first."""
        with self._changed:
            return tuple(job.state for job in self._jobs.values())

    def cancel(self, job_id: str) -> bool:
        """Stop a job: a queued one at once, a running one within a chunk; False when there is nothing to stop."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None or not job.state.active:
                return False
            job.stop.set()
            if job.state.state == "queued":
                self._waiting.remove(job)
                job.state = replace(job.state, state="cancelled", message="cancelled before it began")
            else:
                job.state = replace(job.state, message="cancelling")
            return True

    def close(self) -> None:
        """Cancel everything and let the worker end."""
        for state in self.states():
            self.cancel(state.id)
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _forget(self) -> None:
        over = [name for name, job in self._jobs.items() if not job.state.active][
            : max(0, len(self._jobs) - REMEMBERED)
        ]
        for name in over:
            del self._jobs[name]

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                job = self._waiting.popleft()
                job.state = replace(job.state, state="running", message="reading headers and hashing the inputs")
            self._do(job)

    def _do(self, job: _Job) -> None:
        try:
            report = self._merged(job)
            self._tell(job, message="telling the WebUI")
            message = self._handed_over(job)
        except MergeCancelled:
            self._tell(job, state="cancelled", message="cancelled; nothing was left behind")
        except (MergeError, LoadFailed) as error:
            self._tell(job, state="failed", message=str(error))
        except Exception as error:  # The worker must outlive any one job, and the user must hear of it.
            self._tell(job, state="failed", message=f"{type(error).__name__}: {error}")
        else:
            self._tell(job, state="done", message=message, seconds=report.seconds, sha256=report.sha256)

    def _merged(self, job: _Job) -> MergeReport:
        def progress(done: int, total: int, left: float) -> None:
            known = left if math.isfinite(left) else None
            self._tell(job, message="merging", bytes_done=done, bytes_total=total, seconds_left=known)

        order = job.order
        options = Options(device=order.device, overwrite=order.overwrite, progress=progress, cancelled=job.stop.is_set)
        if order.unsaved:
            order.target.parent.mkdir(exist_ok=True)
        if job.stop.is_set():
            raise MergeCancelled
        folders, hashes = self._checkpoints.folders(), self._checkpoints.hashes()
        return self._run(order.recipe, order.target, folders, options, keep=order.keep, hashes=hashes)

    def _handed_over(self, job: _Job) -> str:
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

    def _tell(self, job: _Job, **changes: Any) -> None:
        with self._changed:
            job.state = replace(job.state, **changes)
