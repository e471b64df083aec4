"""How far a long command is, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib_sticky.lab.comparing import Progress


def show(events: Iterable[Progress]) -> None:
    """How far it is, on standard error: one line that changes, or where that is a file a line for each batch."""
    started, first, before = time.monotonic(), -1, -1
    for event in events:
        first = event.done if first < 0 else first
        if sys.stderr.isatty():
            print(f"\r\x1b[K{_line(event, first, started)}", end="", file=sys.stderr, flush=True)
        elif event.done != before:
            print(_line(event, first, started), file=sys.stderr, flush=True)
        before = event.done
    if sys.stderr.isatty():
        print(file=sys.stderr)


def _line(event: Progress, first: int, started: float) -> str:
    step = f"{event.making}, step {event.step} of {event.steps}" if event.steps else event.making
    made, left = event.done - first, event.pictures - event.done
    if not made or not left:
        return f"picture {event.done} of {event.pictures}: {step}"
    seconds = (time.monotonic() - started) / made * left
    about = f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
    return f"picture {event.done} of {event.pictures}: {step}, about {about} left"
