"""Commands of the studio as jobs: programs of their own in the studio's environment, never in a WebUI's process."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_sticky.api.job_queue import Active, Job, JobQueue
from lib_sticky.config import ConfigError

ROOT = Path(__file__).resolve().parents[2]
REMEMBERED_LINES = 12
PATIENCE = 20.0
"""Seconds that a program has, after it was asked to end, to keep its state."""

_INTERRUPTED = 130
"""The status of a command that was interrupted and has said what it keeps."""
_COUNT = re.compile(r"\b(?:step|picture) (\d+) of (\d+)")


@dataclass(frozen=True)
class Program:
    """What follows `python run.py`. finished: gets the last line that it said, and says in words what came of it."""

    name: str
    arguments: tuple[str, ...]
    finished: Callable[[str], str]

    @property
    def command(self) -> str:
        """The command as it is typed in a terminal, in the extension's folder."""
        words = ("python", "run.py", *self.arguments)
        return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


@dataclass(frozen=True)
class Running(Active):
    """How far a program is: queued, running, done, failed or cancelled; `log` is what it said last."""

    id: str
    name: str
    command: str
    state: str = "queued"
    message: str = "waiting for the programs before it"
    done: int = 0
    total: int = 0
    log: tuple[str, ...] = ()


class Programs(JobQueue[Program, Running]):
    """Programs one at a time. interpreter: the Python that has what the studio needs, None where there is none."""

    def __init__(self, interpreter: Callable[[], Path | None]) -> None:
        super().__init__("sticky-programs")
        self._interpreter = interpreter

    def cannot_run(self) -> str:
        """Why nothing can be started here, in words; empty where it can."""
        if self._interpreter():
            return ""
        return f"the studio's environment is not made yet; run this once in {ROOT}, which makes it"

    def queued(self, job_id: str, order: Program) -> Running:
        return Running(job_id, order.name, order.command)

    def submit(self, order: Program) -> str:
        """Queue a program; ConfigError, with the command to run by hand, where there is no environment."""
        reason = self.cannot_run()
        if reason:
            raise ConfigError("environment", f"{reason}: {order.command}")
        return super().submit(order)

    def do(self, job: Job[Program, Running]) -> None:
        command = [str(self._interpreter()), "-u", "-m", "lib_sticky.studio", *job.order.arguments]
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, encoding="utf-8",
            errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=None if os.name == "nt" else _take_interrupts,  # noqa: PLW1509 (it only sets a handler)
        )  # fmt: skip
        self.tell(job, message="starting")
        ending = threading.Thread(target=_end_when_stopped, args=(process, job.stop), daemon=True)
        ending.start()
        try:
            for line in process.stdout or ():
                self._hear(job, line.strip())
            status = process.wait()
        finally:
            cancelled = job.stop.is_set()
            job.stop.set()
            ending.join()
        said = job.state.log[-1] if job.state.log else ""
        if cancelled:
            self.tell(job, state="cancelled", message=said if status == _INTERRUPTED else "cancelled")
        elif status:
            self.tell(job, state="failed", message=f"ended with status {status}: {said}")
        else:
            self.tell(job, state="done", message=job.order.finished(said))

    def _hear(self, job: Job[Program, Running], line: str) -> None:
        if not line:
            return
        log = (*job.state.log, line)[-REMEMBERED_LINES:]
        counted = _COUNT.search(line)
        about: Mapping[str, Any] = {"done": int(counted[1]), "total": int(counted[2])} if counted else {}
        self.tell(job, log=log, message=line, **about)


def studio_interpreter() -> Path | None:
    """The Python of the environment that run.py has made; None before it has."""
    about = importlib.util.spec_from_file_location("sticky_run", ROOT / "run.py")
    if about is None or about.loader is None:
        return None
    runner = importlib.util.module_from_spec(about)
    about.loader.exec_module(runner)
    made = (runner.VENV / ".installed-studio").is_file()
    return runner.python() if made and runner.python().is_file() else None


def _take_interrupts() -> None:
    """In the program: a host that was started in a script's background ignores interrupts, and its children with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _end_when_stopped(process: subprocess.Popen[str], stop: threading.Event) -> None:
    """Interrupt the program, which keeps its state then; kill it where it does not end."""
    stop.wait()
    if process.poll() is not None:
        return
    if os.name == "nt":
        process.terminate()
    else:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
