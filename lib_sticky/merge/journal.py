"""The record beside a partial file that lets a killed merge go on where it was."""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
import time
from pathlib import Path

from .errors import MergeError


def boot_identity() -> str:
    """Name the current boot of the machine: bytes that a dead process wrote are whole only while it lasts."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return str(round((time.time() - time.monotonic()) / 60))


class Journal:
    """Finished parts of one job, one line each, appended as they are written.

    The first line identifies the job (recipe, inputs, layout, boot). A journal of another job, or of an earlier boot,
    is started anew. A line that a kill cut short is ignored.
    """

    def __init__(self, target: Path, job: dict[str, object]) -> None:
        self.path = target.with_name(target.name + ".partial.journal")
        self._lock = threading.Lock()
        self._first = json.dumps({**job, "boot": boot_identity()}, sort_keys=True)
        try:
            self._stream = io.FileIO(self.path, "ab+")
        except OSError as error:
            raise MergeError(f"{self.path} cannot be written: {error.strerror}") from error
        _claim(self._stream, target)
        self.done = self._read()
        self._whole = bool(self.done) or self._begun()

    def _read(self) -> frozenset[int]:
        self._stream.seek(0)
        lines = self._stream.readall().split(b"\n")
        if lines[0].decode("utf-8", "replace") != self._first:
            return frozenset()
        return frozenset(int(line) for line in lines[1:-1] if line.isdigit())

    def _begun(self) -> bool:
        self._stream.truncate(0)
        return self._append(self._first.encode() + b"\n")

    def _append(self, line: bytes) -> bool:
        """Write a line; False when the disk has no room for all of it."""
        try:
            return self._stream.write(line) == len(line)
        except OSError:
            return False

    def finished(self, part: int) -> None:
        """Note a part. A disk too full for the note ends the notes, not the merge: its own room is claimed already."""
        with self._lock:
            self._whole = self._whole and self._append(b"%d\n" % part)

    def close(self) -> None:
        self._stream.close()

    def remove(self) -> None:
        self.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)


def _claim(stream: io.FileIO, target: Path) -> None:
    """Hold the journal for this process; the system lets go of it when the process ends in any way."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        raise MergeError(f"another merge is writing {target}; wait for it or choose another name") from error
