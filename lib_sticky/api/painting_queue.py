"""A queue of jobs that a host's painter makes picture by picture."""

from __future__ import annotations

from lib_sticky.api.job_queue import JobQueue, OrderT, StateT
from lib_sticky.hosts.painter import Painter


class PaintingQueue(JobQueue[OrderT, StateT]):
    """Jobs of one painter."""

    def __init__(self, thread: str, painter: Painter) -> None:
        super().__init__(thread)
        self.painter = painter

    def cancel(self, job_id: str) -> bool:
        """Stop a job, within a step of the picture that is being made; the pictures that are finished stay."""
        state = self.state(job_id)
        stopped = super().cancel(job_id)
        if stopped and state is not None and state.state == "running":
            self.painter.interrupt()
        return stopped
