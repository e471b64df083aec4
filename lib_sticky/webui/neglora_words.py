"""What the tab of the negative LoRA says: its queues, and the pictures of a set and of its training."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lib_sticky.api.programs import Running
from lib_sticky.api.wrong_jobs import Making
from lib_sticky.lab.contact_sheet import CONTACT_SHEET
from lib_sticky.lab.png import small_uri
from lib_sticky.webui.words import duration, lines, progress, queue, said, warned

SHOWN = 4
WIDE = 1400
"""Pixels of the longer side of a sheet as it is shown."""


def jobs_words(makings: Sequence[Making], programs: Sequence[Running]) -> str:
    """Both queues, the newest job first."""
    jobs = [*map(_making, reversed(makings[-SHOWN:])), *map(_program, reversed(programs[-SHOWN:]))]
    body = "".join(jobs) or "<div class='sticky-count'>Nothing yet.</div>"
    ended = sum(not job.active for job in (*makings, *programs))
    return queue(body, any(job.active for job in (*makings, *programs)), str(ended))


def set_words(folder: Path) -> str:
    """The contact sheet of a set, the losses of its training, and the newest samples, as far as they are there."""
    samples = sorted((folder / "lora" / "samples").glob("*.png"))[-1:]
    found = [path for path in (folder / CONTACT_SHEET, folder / "lora" / "loss.png", *samples) if path.is_file()]
    return "".join(map(_picture, found)) or said("Here will be the contact sheet of the set, losses and samples.")


def command_words(command: str, folder: Path) -> str:
    """What to do with a command that is shown."""
    return said(f"In a terminal, in {folder}: {command}")


def _making(job: Making) -> str:
    told = f"<b>Pictures: {html.escape(job.name)}</b> {job.state}"
    left = "" if job.seconds_left is None else f", {duration(job.seconds_left)} left"
    return _job(job.state, told, f"{job.done} of {job.total}: {job.message}{left}", job.done, job.total)


def _program(job: Running) -> str:
    return _job(job.state, f"<b>{html.escape(job.name)}</b> {job.state}", job.message, job.done, job.total)


def _job(state: str, told: str, message: str, done: int, total: int) -> str:
    bar = progress(done, total) if state == "running" and total else ""
    words = warned([message]) if state == "failed" else lines("sticky-count", [message])
    return f"<div class='sticky-job sticky-job-{state}'>{told}{bar}{words}</div>"


def _picture(path: Path) -> str:
    with Image.open(path) as picture:
        source = small_uri(picture, WIDE)
    name = html.escape(f"{path.parent.name}/{path.name}")
    return f"<figure><img src='{source}' alt='{name}' style='max-width: 100%'><figcaption>{name}</figcaption></figure>"
