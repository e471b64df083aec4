"""Reading checkpoints: headers checked against the file before anything is allocated, and positional reads."""

from __future__ import annotations

import io
import json
import math
import os
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .dtypes import ITEM_SIZE
from .errors import CheckpointError

HEADER_LIMIT = 100_000_000  # The safetensors library refuses more, so nobody could load the file.
_MISTAKEN = (
    (b"PK\x03\x04", "is a zip, most likely a pickled .ckpt with another name; pickles can run code and are not opened"),
    (b"\x80", "is a Python pickle; pickles can run code and are not opened. Convert it to safetensors first"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the weights; fetch the real file"),
    (b"<", "is a web page or XML, not weights; download it again"),
)


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a checkpoint; `start` and `stop` are bytes from the beginning of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """What a safetensors file says about itself, already checked against the file's size."""

    tensors: Mapping[str, TensorEntry]
    metadata: Mapping[str, str]
    data_start: int


def parse_header(raw: bytes, file_size: int, name: str) -> Header:
    """Return the checked header in `raw`, the JSON bytes of a safetensors file of `file_size` bytes.

    Raises CheckpointError for anything that the format forbids: it names `name` and the tensor.
    """
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=lambda pairs: _unique(pairs, name))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise CheckpointError(f"{name}: its header is not JSON ({error}); the file is damaged") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{name}: its header is not a JSON object; the file is damaged")
    metadata = document.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CheckpointError(f"{name}: __metadata__ must hold only strings")
    data_start = 8 + len(raw)
    tensors = {key: _entry(key, value, data_start, name) for key, value in document.items()}
    _check_cover(tensors, data_start, file_size, name)
    return Header(MappingProxyType(tensors), MappingProxyType(metadata), data_start)


def _unique(pairs: list[tuple[str, Any]], name: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CheckpointError(f"{name}: its header names the same key twice; the file is damaged or crafted")
    return found


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _entry(key: str, value: Any, data_start: int, name: str) -> TensorEntry:
    where = f"{name}: tensor {key!r}"
    if not isinstance(value, dict) or not {"dtype", "shape", "data_offsets"} <= value.keys():
        raise CheckpointError(f"{where} lacks dtype, shape or data_offsets; the file is damaged")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZE:
        raise CheckpointError(f"{where} has dtype {dtype!r}; known are {', '.join(ITEM_SIZE)}")
    if not isinstance(shape, list) or not all(_is_count(size) for size in shape):
        raise CheckpointError(f"{where} has shape {shape!r}; sizes are whole numbers from 0")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_count(at) for at in offsets):
        raise CheckpointError(f"{where} has data_offsets {offsets!r}; they are two whole numbers from 0")
    needed = math.prod(shape) * ITEM_SIZE[dtype]
    if offsets[1] - offsets[0] != needed:
        raise CheckpointError(f"{where} needs {needed} bytes for {dtype} {shape} but its offsets span {offsets}")
    return TensorEntry(dtype, tuple(shape), data_start + offsets[0], data_start + offsets[1])


def _check_cover(tensors: Mapping[str, TensorEntry], data_start: int, file_size: int, name: str) -> None:
    """Refuse overlaps, holes, and a file that ends too early or too late."""
    at = data_start
    for key, entry in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start < at:
            raise CheckpointError(f"{name}: tensor {key!r} overlaps the one before it; the file is damaged or crafted")
        if entry.start > at:
            raise CheckpointError(f"{name}: {entry.start - at} bytes before tensor {key!r} belong to no tensor")
        at = entry.stop
    if at != file_size:
        verb = "truncated; download it again" if file_size < at else "longer than its tensors"
        raise CheckpointError(f"{name}: the tensors end at byte {at} but the file has {file_size}: it is {verb}")


def read_header(stream: io.FileIO, file_size: int, name: str) -> Header:
    """Read and check the header at the start of an open file."""
    start = stream.read(24) or b""
    for magic, meaning in _MISTAKEN:
        # A header may be short enough for its length to look like a pickle's first byte; the "{" that follows decides.
        if start.startswith(magic) and start[8:9] != b"{":
            raise CheckpointError(f"{name} {meaning}")
    if len(start) < 8:
        raise CheckpointError(f"{name} has {file_size} bytes, too few for a safetensors file")
    length = int.from_bytes(start[:8], "little")
    if length > HEADER_LIMIT:
        raise CheckpointError(f"{name} says its header has {length} bytes; more than {HEADER_LIMIT} is not allowed")
    if 8 + length > file_size:
        raise CheckpointError(f"{name} says its header has {length} bytes but the file has {file_size}: truncated")
    stream.seek(8)
    return parse_header(_read_exactly(stream, length, name), file_size, name)


def _read_exactly(stream: io.FileIO, length: int, name: str) -> bytes:
    found = bytearray(length)
    at, view = 0, memoryview(found)
    while at < length:
        count = stream.readinto(view[at:])
        if not count:
            raise CheckpointError(f"{name} ended after {at} of {length} header bytes")
        at += count
    return bytes(found)


class CheckpointReader:
    """An open checkpoint: a checked header, and reads at any offset from any thread into the caller's buffers."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            info = os.stat(self.path)
            if not stat.S_ISREG(info.st_mode):
                raise CheckpointError(f"{self.path} is not a regular file")
            self._stream = io.FileIO(self.path, "rb")
        except OSError as error:
            raise CheckpointError(f"{self.path} cannot be opened: {error.strerror}") from error
        self._lock = threading.Lock()
        self.identity = _identity(os.fstat(self._stream.fileno()))
        self.size = self.identity[0]
        try:
            self.header = read_header(self._stream, self.size, str(self.path))
        except BaseException:
            self._stream.close()
            raise

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill `view` with the bytes from `offset` on; raises CheckpointError when the file ends first."""
        at = 0
        while at < len(view):
            count = self._read_at(offset + at, view[at:])
            if not count:
                raise CheckpointError(f"{self.path} ended at byte {offset + at}: it was changed while being read")
            at += count

    if hasattr(os, "preadv"):

        def _read_at(self, offset: int, view: memoryview) -> int:
            return os.preadv(self._stream.fileno(), [view], offset)

    else:  # Windows has no positional read.

        def _read_at(self, offset: int, view: memoryview) -> int:
            with self._lock:
                self._stream.seek(offset)
                return self._stream.readinto(view) or 0

    def unchanged(self) -> bool:
        """Say whether the path still names the file that was opened, with the same size and time of change."""
        try:
            return _identity(os.stat(self.path)) == self.identity == _identity(os.fstat(self._stream.fileno()))
        except OSError:
            return False

    def close(self) -> None:
        self._stream.close()


def _identity(info: os.stat_result) -> tuple[int, int, int, int]:
    return info.st_size, info.st_mtime_ns, info.st_dev, info.st_ino
