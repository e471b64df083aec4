"""A disk that is really full: a small file system in memory, mounted where the user of the tests may mount."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib_sticky.merge import Folders, MergeError, Options, Recipe, compose, merge
from lib_sticky.merge.journal import Journal
from lib_sticky.merge.output_file import OutputFile

ROOM = 16 << 20
PAGE = 1 << 12
KEYS = {f"layer{index}.weight": (700, 800) for index in range(10)}  # 11.2 MB in fp16: eleven parts.
SIZE = 10 * 700 * 800 * 2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root on Linux")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path, free: int) -> Path:
    """Leave `free` bytes on the disk, rounded down to pages."""
    filler = disk / f"filler-{free}"
    taken = (os.statvfs(disk).f_bavail - free // PAGE) * PAGE
    with filler.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, taken)
    return filler


def refused(recipe: Recipe, disk: Path, paths: list[str], words: str) -> None:
    """The merge says `words`, and leaves its inputs and the disk as they were."""
    before = [Path(path).read_bytes() for path in paths]
    with pytest.raises(MergeError, match=words):
        merge(recipe, disk / "out.safetensors", Folders(), Options())
    assert [Path(path).read_bytes() for path in paths] == before
    assert all(path.name.startswith("filler") for path in disk.iterdir())


@pytest.mark.parametrize("tenth", range(10))
def test_too_little_room_is_said_before_any_work(bench, disk: Path, tenth: int) -> None:
    paths, _ = bench.models(2, KEYS)
    recipe = compose("weighted_sum", paths, {"alpha": 0.3})
    filler = fill(disk, SIZE * tenth // 10)
    refused(recipe, disk, paths, r"MB free and the result needs")
    filler.unlink()
    assert merge(recipe, disk / "out.safetensors", Folders(), Options()).bytes > SIZE


@pytest.mark.usefixtures("megabyte_chunks")
@pytest.mark.parametrize("write", range(1, 11))
def test_a_disk_that_others_fill_at_ten_points_of_the_work(
    bench, disk: Path, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    """Where the file system cannot claim room ahead, the disk itself says no in the middle."""
    paths, _ = bench.models(2, KEYS)
    monkeypatch.delattr(os, "posix_fallocate")
    recipe = compose("weighted_sum", paths, {"alpha": 0.3})
    calls, write_at = iter(range(1000)), OutputFile._write_at

    def filled(self: OutputFile, offset: int, view: memoryview) -> int:
        if next(calls) == write:
            (disk / "filler").write_bytes(b"")
            with (disk / "filler").open("ab", buffering=0) as stream, pytest.raises(OSError, match="No space left"):
                while stream.write(bytes(PAGE)):
                    pass
        return write_at(self, offset, view)

    monkeypatch.setattr(OutputFile, "_write_at", filled)
    refused(recipe, disk, paths, "no room for.*Free space and run again")
    monkeypatch.undo()
    (disk / "filler").unlink()
    assert merge(recipe, disk / "out.safetensors", Folders(), Options()).bytes > SIZE


def test_a_journal_that_finds_no_room_stops_nothing(disk: Path) -> None:
    fill(disk, 0)
    journal = Journal(disk / "out.safetensors", {})
    journal.finished(0)
    (disk / "filler-0").unlink()
    journal.finished(1)  # Its line would follow half of another one.
    journal.close()
    assert Journal(disk / "out.safetensors", {}).done == frozenset()
