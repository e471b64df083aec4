"""The file of votes: what it keeps, who may write at once, and files that it leaves alone."""

from __future__ import annotations

import csv
import io
import math
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lib_sticky import votes as module
from lib_sticky.config import ConfigError
from lib_sticky.votes import Vote, Votes, as_csv

ROOT = Path(__file__).resolve().parents[2]


def vote(number: int, **changes: Any) -> Vote:
    given: dict[str, Any] = {
        "sha256": f"{number:064x}", "model": "a, model", "model_hash": "0123456789", "preset": "U3", "seed": number,
        "config": {"untitled": True}, "settings": {"steps": 20}, "scores": {"entropy": number / 2}, "kept": True,
        "time": 1_700_000_000.0 + number,
    }  # fmt: skip
    return Vote(**{**given, **changes})


def test_votes_come_back_as_they_were_cast(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "deep" / "votes.sqlite3")
    assert votes.all() == []
    assert not votes.path.exists(), "looking must not make a file"
    votes.cast([vote(2), vote(1, kept=False)])
    assert Votes(votes.path).all() == [vote(1, kept=False), vote(2)]


def test_a_later_vote_replaces_and_a_withdrawn_one_is_gone(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "votes.sqlite3")
    votes.cast([vote(1), vote(2)])
    votes.cast([vote(1, kept=False)])
    assert [each.kept for each in votes.all()] == [False, True]
    votes.withdraw([vote(1).key, vote(9).key])
    assert votes.all() == [vote(2)]


def test_equal_pixels_of_two_presets_are_two_votes(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "votes.sqlite3")
    votes.cast([vote(1), vote(1, preset="U1")])
    assert len(votes.all()) == 2


def test_all_votes_or_none(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "votes.sqlite3")
    votes.cast([vote(1)])
    with pytest.raises(ValueError, match="JSON compliant"):
        votes.cast([vote(2), vote(3, scores={"entropy": math.nan})])
    with pytest.raises(ConfigError):
        votes.cast([vote(2), vote(3, preset=None)])
    assert votes.all() == [vote(1)]


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "votes.sqlite3"
    code = (
        "import sys; from pathlib import Path; from lib_sticky.votes import Votes; "
        "from tests.unit.test_votes import vote; votes = Votes(Path(sys.argv[1])); first = int(sys.argv[2]); "
        "[votes.cast([vote(n), vote(n + 500)]) for n in range(first, first + 20)]"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(first)], cwd=ROOT) for first in (0, 100, 200)
    ]
    assert [process.wait(120) for process in started] == [0, 0, 0]
    wanted = {start + n + more for start in (0, 100, 200) for n in range(20) for more in (0, 500)}
    assert {each.seed for each in Votes(path).all()} == wanted


def test_a_writer_that_dies_leaves_the_last_whole_state(tmp_path: Path) -> None:
    path = tmp_path / "votes.sqlite3"
    Votes(path).cast([vote(1)])
    code = (
        "import os, sys; from pathlib import Path; from lib_sticky.votes import Votes\n"
        "with Votes(Path(sys.argv[1]))._writing() as file:\n"
        "    file.execute('PRAGMA cache_size = 1'); file.execute('PRAGMA cache_spill = 1')\n"
        "    for n in range(500):\n"
        '        file.execute("UPDATE votes SET model = model || hex(randomblob(500))")\n'
        "    os._exit(9)\n"
    )
    found = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False, timeout=120)
    assert found.returncode == 9
    assert Votes(path).all() == [vote(1)]


def kept_as_it_is(path: Path, words: str) -> None:
    before = path.read_bytes()
    votes = Votes(path)
    for use in (votes.all, lambda: votes.cast([vote(1)]), lambda: votes.withdraw([vote(1).key])):
        with pytest.raises(ConfigError, match=words) as refused:
            use()
        assert str(path) in str(refused.value)
        assert refused.value.field == "votes"
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"not a database", b"SQLite format 3\0" + b"\xff" * 200])
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "votes.sqlite3"
    path.write_bytes(content)
    kept_as_it_is(path, "left as it is")


@pytest.mark.parametrize("cut", [1, 2])
def test_a_torn_file_is_left_alone(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "votes.sqlite3"
    Votes(path).cast([vote(number) for number in range(200)])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if cut == 1 else whole[:4096] + b"\0" * (len(whole) - 4096))
    kept_as_it_is(path, "damaged")


def test_a_newer_file_and_somebody_elses_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "votes.sqlite3"
    Votes(path).cast([vote(1)])
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA user_version = {module.SCHEMA + 1}")
    kept_as_it_is(path, "version 2, and this one reads up to 1")
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA application_id = 7")
    kept_as_it_is(path, "something other than votes")


def test_the_version_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "votes.sqlite3"
    Votes(path).cast([vote(1)])
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (module.SCHEMA,)
        assert file.execute("PRAGMA application_id").fetchone() == (module.APPLICATION,)


def test_a_busy_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    votes = Votes(tmp_path / "votes.sqlite3")
    votes.cast([vote(1)])
    with closing(sqlite3.connect(votes.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConfigError, match="cannot be used now"):
            votes.cast([vote(2)])
    votes.cast([vote(2)])
    assert len(votes.all()) == 2


def test_the_csv_has_a_column_for_each_score() -> None:
    text = as_csv([vote(1), vote(2, scores={"noise": 0.25}, kept=False)])
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["model"], first["seed"], first["kept"], first["entropy"], first["noise"]) == (
        "a, model", "1", "1", "0.5", "",
    )  # fmt: skip
    assert (second["kept"], second["noise"], second["time"]) == ("0", "0.25", "2023-11-14T22:13:22+00:00")
    assert first["config"] == '{"untitled": true}'
