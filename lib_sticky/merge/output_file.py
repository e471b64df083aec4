"""A file that appears under its name only when it is whole, and that a killed run can go on with."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import mmap
import os
import shutil
import threading
from pathlib import Path

from .errors import MergeError

HASH_BLOCK = 1 << 20
PAGE = 1 << 12  # Of memory and of disks; reads and writes past the page cache are whole pages.


class OutputFile:
    """A preallocated temporary file beside its target, written at any offset from any thread."""

    def __init__(self, target: Path, size: int, *, resume: bool = False) -> None:
        self.target = target
        self.size = size
        self.partial = partial_path(target)
        self._lock = threading.Lock()
        try:
            self._stream = io.FileIO(self.partial, "rb+" if resume else "wb+")
            _reserve(self._stream, size, target)
            self._direct = open_direct(self.partial, "rb+")
        except OSError as error:
            self.discard()
            raise _explained(error, target, size) from error
        except MergeError:
            self.discard()
            raise

    def write(self, offset: int, view: memoryview) -> None:
        """Write all of `view` at `offset`; raises MergeError that says what the disk said."""
        at = 0
        try:
            while at < len(view):
                at += self._write_at(offset + at, view[at:])
        except OSError as error:
            raise _explained(error, self.target, self.size) from error

    if hasattr(os, "pwrite"):

        def _write_at(self, offset: int, view: memoryview) -> int:
            return self._write_pages(offset, view) or os.pwrite(self._stream.fileno(), view, offset)

        def _write_pages(self, offset: int, view: memoryview) -> int:
            """Write whole pages past the page cache, whose upkeep can cost more than the disk; 0 where that cannot be.

            It cannot be for what does not begin at a page, on the disk and in memory.
            """
            whole = len(view) // PAGE * PAGE
            if self._direct is None or offset % PAGE or not whole:
                return 0
            try:
                return os.pwrite(self._direct.fileno(), view[:whole], offset)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                return 0

    else:  # Windows has no positional write.

        def _write_at(self, offset: int, view: memoryview) -> int:
            with self._lock:
                self._stream.seek(offset)
                return self._stream.write(view) or 0

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill `view` with what was written at `offset`."""
        with self._lock:
            self._stream.seek(offset)
            if self._stream.readinto(view) != len(view):
                raise MergeError(f"{self.partial} is shorter than what was written to it")

    def commit(self) -> None:
        """Put every byte on the disk, then give the file its name."""
        try:
            os.fsync(self._stream.fileno())
            self._close()
            os.replace(self.partial, self.target)
            _sync_folder(self.target.parent)
        except OSError as error:
            raise _explained(error, self.target, self.size) from error

    def discard(self) -> None:
        """Remove what was written; the target is not touched."""
        with contextlib.suppress(AttributeError, OSError):
            self._close()
        with contextlib.suppress(OSError):
            os.unlink(self.partial)

    def _close(self) -> None:
        self._stream.close()
        if self._direct:
            self._direct.close()


def open_direct(path: Path, mode: str) -> io.FileIO | None:
    """Open a file past the page cache; None where the system or the file system cannot."""
    flag = getattr(os, "O_DIRECT", 0)
    if not flag:
        return None
    with contextlib.suppress(OSError):
        return io.FileIO(path, mode, opener=lambda name, flags: os.open(name, flags | flag))
    return None


def partial_path(target: Path) -> Path:
    return target.with_name(target.name + ".partial")


def _reserve(stream: io.FileIO, size: int, target: Path) -> None:
    """Claim the disk space before any work, or raise."""
    missing = size - os.fstat(stream.fileno()).st_size
    if missing <= 0:
        stream.truncate(size)
        return
    free = shutil.disk_usage(target.parent).free
    if free < missing:
        raise MergeError(
            f"{target.parent} has {free / 1e6:,.1f} MB free and the result needs {missing / 1e6:,.1f} MB more"
        )
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(stream.fileno(), 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
    stream.truncate(size)


def _explained(error: OSError, target: Path, size: int) -> MergeError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return MergeError(f"no room for {target} ({size / 1e9:.2f} GB): {error.strerror}. Free space and run again")
    return MergeError(f"{target} cannot be written: {error.strerror}")


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system lets a folder be synced."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class PrefixHasher:
    """A thread that hashes a growing file in order while others write it out of order."""

    def __init__(self, path: Path) -> None:
        self._stream, self._direct = io.FileIO(path, "rb"), open_direct(path, "rb")
        self._digest = hashlib.sha256()
        self._ready = threading.Condition()
        self._limit, self._stopped = 0, False
        self._thread = threading.Thread(target=self._run, name="merge-sha256", daemon=True)
        self._thread.start()

    def allow(self, limit: int) -> None:
        """Say that every byte before `limit` is final."""
        with self._ready:
            self._limit = limit
            self._ready.notify()

    def _run(self) -> None:
        block, at = memoryview(mmap.mmap(-1, HASH_BLOCK)), 0
        while True:
            with self._ready:
                self._ready.wait_for(lambda at=at: self._stopped or self._limit - at >= HASH_BLOCK)
                limit = self._limit
                if limit <= at:
                    return
            while at < limit:
                count = self._read(at, block[: min(HASH_BLOCK, limit - at)])
                self._digest.update(block[:count])
                at += count

    def _read(self, at: int, block: memoryview) -> int:
        stream = self._direct if self._direct and len(block) == HASH_BLOCK and at % PAGE == 0 else self._stream
        stream.seek(at)
        return stream.readinto(block) or 0

    def finish(self) -> str:
        """Return the hex digest of all that was allowed."""
        with self._ready:
            self._stopped = True
            self._ready.notify()
        self._thread.join()
        self._stream.close()
        if self._direct:
            self._direct.close()
        return self._digest.hexdigest()


def encode_header(tensors: dict[str, tuple[str, tuple[int, ...], int, int]], metadata: dict[str, str]) -> bytes:
    """Return the length and JSON of a safetensors header, padded so that the data starts at a whole page.

    `tensors` maps a key to (dtype code, shape, first byte, last byte + 1), counted from the start of the data.
    """
    document: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    for key, (dtype, shape, start, stop) in tensors.items():
        document[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}
    raw = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    raw += b" " * (-(8 + len(raw)) % PAGE)
    return len(raw).to_bytes(8, "little") + raw


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file in hex, read once from start to end."""
    digest, block = hashlib.sha256(), memoryview(bytearray(HASH_BLOCK))
    with io.FileIO(path, "rb") as stream:
        while count := stream.readinto(block):
            digest.update(block[:count])
    return digest.hexdigest()
