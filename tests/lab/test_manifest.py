"""The log of a comparison: what it believes after an interrupt, a deletion or a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib_sticky.lab.manifest import NAME, Manifest


def added(folder: Path, key: str = "a/1", content: bytes = b"picture") -> Path:
    path = folder / "pictures" / f"{key.replace('/', '-')}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    Manifest(folder).add(key, path, {"seed": 1})
    return path


def test_what_was_logged_is_known_again(tmp_path: Path):
    added(tmp_path)
    found = Manifest(tmp_path).matching("a/1")
    assert found is not None
    assert (found.file, found.about) == ("pictures/a-1.png", {"seed": 1})
    assert Manifest(tmp_path).matching("a/2") is None
    with pytest.raises(KeyError):
        Manifest(tmp_path).entry("a/2")


def test_a_deleted_or_changed_file_does_not_match(tmp_path: Path):
    path = added(tmp_path)
    path.write_bytes(b"edited")
    assert Manifest(tmp_path).matching("a/1") is None
    path.unlink()
    assert Manifest(tmp_path).matching("a/1") is None


def test_a_line_that_was_cut_short_is_left_out_and_closed(tmp_path: Path):
    added(tmp_path)
    log = tmp_path / NAME
    log.write_text(log.read_text() + '{"key": "a/2", "fi')
    added(tmp_path, "a/3")
    manifest = Manifest(tmp_path)
    assert manifest.matching("a/1") and manifest.matching("a/3")
    assert manifest.matching("a/2") is None


def test_later_lines_replace_earlier_ones_and_notes_add_up(tmp_path: Path):
    added(tmp_path, content=b"first")
    added(tmp_path, content=b"second")
    manifest = Manifest(tmp_path)
    assert manifest.matching("a/1")
    manifest.note(calls=3, probes=1)
    manifest.note(calls=4)
    assert list(Manifest(tmp_path).notes("calls")) == [3, 4]
    assert list(Manifest(tmp_path).notes("probes")) == [1]
