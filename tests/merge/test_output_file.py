"""Writing past the page cache: the same bytes as through it, and only what the disk takes in whole pages."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lib_sticky.merge import compose
from lib_sticky.merge import output_file as files
from lib_sticky.merge.output_file import PAGE, OutputFile, PrefixHasher, open_direct

# Odd lengths, formats of different width, tensors below a page and above a chunk.
KEYS = {"a": (1_200_001,), "b": (3,), "c": (700_003,), "d": (2047,), "e": (641, 1023)}


@pytest.fixture
def direct(tmp_path: Path) -> None:
    (tmp_path / "probe").write_bytes(b"")
    stream = open_direct(tmp_path / "probe", "rb")
    if stream is None:
        pytest.skip("this file system cannot be written past the page cache")
    stream.close()


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_past_the_page_cache_and_through_it_are_the_same_bytes(
    bench, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    paths, _ = bench.models(2, KEYS)
    recipe = compose("weighted_sum", paths, {"alpha": 0.3}, dtype={"*": dtype})
    sizes, write_pages = list[int](), OutputFile._write_pages

    def counted(self: OutputFile, offset: int, view: memoryview) -> int:
        sizes.append(write_pages(self, offset, view))
        return sizes[-1]

    monkeypatch.setattr(OutputFile, "_write_pages", counted)
    _, report = bench.run(recipe, "direct", workers=4)
    assert sum(sizes) > 0.5 * report.bytes
    assert all(size % PAGE == 0 for size in sizes)
    monkeypatch.setattr(files, "open_direct", lambda *_: None)
    _, through = bench.run(recipe, "through")
    content = [(bench.folder / f"{name}.safetensors").read_bytes() for name in ("direct", "through")]
    assert content[0] == content[1]
    assert report.sha256 == through.sha256 == hashlib.sha256(content[0]).hexdigest()


@pytest.mark.parametrize("size", [0, 1, PAGE, files.HASH_BLOCK - 1, files.HASH_BLOCK, 3 * files.HASH_BLOCK + 5])
def test_the_hash_of_a_growing_file_is_that_of_the_file(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "x").write_bytes(content)
    hasher = PrefixHasher(tmp_path / "x")
    for limit in range(0, size, 300_000):
        hasher.allow(limit)
    hasher.allow(size)
    assert hasher.finish() == hashlib.sha256(content).hexdigest()
