"""A queue of long jobs: one worker thread, states that anybody may read, cancel, and what became of each."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

REMEMBERED = 50


class State(Protocol):
    """How far a job is: queued, running, done, failed or cancelled; `message` says it in words. A frozen dataclass."""

    @property
    def id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def active(self) -> bool: ...


class Active:
    """What a kind's state adds to its fields: whether the job is still to come or runs."""

    state: str

    @property
    def active(self) -> bool:
        return self.state in ("queued", "running")


OrderT = TypeVar("OrderT")
StateT = TypeVar("StateT", bound=State)


@dataclass
class Job(Generic[OrderT, StateT]):
    """One entry of the queue; `stop` is set when it is to end early."""

    order: OrderT
    state: StateT
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def active(self) -> bool:
        return self.state.active


class JobQueue(Generic[OrderT, StateT]):
    """Jobs in the order in which they were asked for, one at a time. Kinds of jobs say how one begins and is done."""

    def __init__(self, thread: str) -> None:
        self._thread = thread
        self._jobs: OrderedDict[str, Job[OrderT, StateT]] = OrderedDict()
        self._waiting: deque[Job[OrderT, StateT]] = deque()
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False

    def queued(self, job_id: str, order: OrderT) -> StateT:
        """The state of a new job."""
        raise NotImplementedError

    def do(self, job: Job[OrderT, StateT]) -> None:
        """Do the job, and leave it in a state that is not active."""
        raise NotImplementedError

    def submit(self, order: OrderT) -> str:
        """Queue a job and return the id by which it is known."""
        job = Job(order, self.queued(secrets.token_hex(8), order))
        with self._changed:
            self._jobs[job.state.id] = job
            self._waiting.append(job)
            self._forget()
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name=self._thread, daemon=True)
                self._worker.start()
            self._changed.notify()
        return job.state.id

    def state(self, job_id: str) -> StateT | None:
        """What became of a job, or None for one that is not known or was long ago."""
        with self._changed:
            job = self._jobs.get(job_id)
            return job.state if job else None

    def states(self) -> tuple[StateT, ...]:
        """All remembered jobs, oldest first."""
        with self._changed:
            return tuple(job.state for job in self._jobs.values())

    def cancel(self, job_id: str) -> bool:
        """Stop a job, a queued one at once; False when there is nothing to stop."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None or not job.active:
                return False
            job.stop.set()
            if job in self._waiting:
                self._waiting.remove(job)
                self.tell(job, state="cancelled", message="cancelled before it began")
            else:
                self.tell(job, message="cancelling")
            return True

    def close(self) -> None:
        """Cancel everything and let the worker end."""
        for state in self.states():
            self.cancel(state.id)
        with self._changed:
            self._closed = True
            self._changed.notify()

    def tell(self, job: Job[OrderT, StateT], **changes: Any) -> None:
        """Change fields of a job's state."""
        with self._changed:
            job.state = replace(job.state, **changes)  # type: ignore[type-var]

    def _forget(self) -> None:
        over = [name for name, job in self._jobs.items() if not job.active][: max(0, len(self._jobs) - REMEMBERED)]
        for name in over:
            del self._jobs[name]

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                job = self._waiting.popleft()
            self.tell(job, state="running")
            try:
                self.do(job)
            except Exception as error:  # The worker must outlive any one job, and the user must hear of it.
                self.tell(job, state="failed", message=f"{type(error).__name__}: {error}")
