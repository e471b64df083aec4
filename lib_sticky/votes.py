"""The user's votes on pictures, in one SQLite file that several processes may use at once."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lib_sticky.config import ConfigError

APPLICATION = 0x53744B79
"""SQLite's `application_id` of our files."""

SCHEMA = 1
PATIENCE = 15.0
"""Seconds to wait while another process writes."""

_TABLE = """CREATE TABLE IF NOT EXISTS votes (
    sha256 TEXT NOT NULL, model TEXT NOT NULL, model_hash TEXT NOT NULL, preset TEXT NOT NULL, seed INTEGER NOT NULL,
    config TEXT NOT NULL, settings TEXT NOT NULL, scores TEXT NOT NULL,
    kept INTEGER NOT NULL CHECK (kept IN (0, 1)), time REAL NOT NULL,
    PRIMARY KEY (sha256, model_hash, preset, seed))"""
_COLUMNS = ("sha256", "model", "model_hash", "preset", "seed", "config", "settings", "scores", "kept", "time")
_JSON = ("config", "settings", "scores")

Key = tuple[str, str, str, int]


@dataclass(frozen=True)
class Vote:
    """One vote on one picture; `time` in seconds since 1970.

    sha256: of the picture's pixels. config: the fields that differ from their defaults. settings: the others that
    made the picture. scores: metrics by name.
    """

    sha256: str
    model: str
    model_hash: str
    preset: str
    seed: int
    config: Mapping[str, Any]
    settings: Mapping[str, Any]
    scores: Mapping[str, float]
    kept: bool
    time: float

    @property
    def key(self) -> Key:
        """What a vote is known by; a later one of the same key replaces it."""
        return self.sha256, self.model_hash, self.preset, self.seed


class Votes:
    """The votes in `path`; a missing file means none. A file that cannot be used raises ConfigError and stays."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def cast(self, votes: Sequence[Vote]) -> None:
        """Store all of `votes`, or none."""
        rows, marks = [_row(vote) for vote in votes], ", ".join("?" * len(_COLUMNS))
        with self._writing() as file:
            file.executemany(f"INSERT OR REPLACE INTO votes ({', '.join(_COLUMNS)}) VALUES ({marks})", rows)

    def withdraw(self, keys: Sequence[Key]) -> None:
        """Forget the votes of these keys."""
        if self.path.exists():
            with self._writing() as file:
                file.executemany(
                    "DELETE FROM votes WHERE sha256 = ? AND model_hash = ? AND preset = ? AND seed = ?", keys
                )

    def all(self) -> list[Vote]:
        """Every vote, the oldest first."""
        if not self.path.exists():
            return []
        with self._open() as file:
            if _is_new(file):
                return []
            rows = file.execute(f"SELECT {', '.join(_COLUMNS)} FROM votes ORDER BY time, sha256, preset").fetchall()
            return [_vote(dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            try:
                if _is_new(file):
                    file.execute(f"PRAGMA application_id = {APPLICATION}")
                    file.execute(f"PRAGMA user_version = {SCHEMA}")
                    file.execute(_TABLE)
                yield file
                file.execute("COMMIT")
            except BaseException:
                if file.in_transaction:
                    file.execute("ROLLBACK")
                raise

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as file:
                self._check(file)
                yield file
        except sqlite3.OperationalError as error:
            raise ConfigError("votes", f"{self.path} cannot be used now ({error}); see who else uses it") from error
        except (sqlite3.DatabaseError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise self._refused(f"is damaged ({error})") from error

    def _check(self, file: sqlite3.Connection) -> None:
        """ConfigError unless the file is empty, or ours, whole, and of a version that this one knows."""
        if _is_new(file):
            return
        if _number(file, "application_id") != APPLICATION:
            raise self._refused("holds something other than votes")
        version = _number(file, "user_version")
        if version > SCHEMA:
            raise self._refused(f"is of version {version}, and this one reads up to {SCHEMA}")
        told = file.execute("PRAGMA quick_check(1)").fetchone()[0]
        if told != "ok":
            raise self._refused(f"is damaged ({told})")

    def _refused(self, why: str) -> ConfigError:
        return ConfigError("votes", f"{self.path} {why}; it was left as it is. Move it away to begin anew")


def as_csv(votes: Sequence[Vote]) -> str:
    """One line a vote, a column for each score; the time in ISO 8601, UTC."""
    names = list(dict.fromkeys(name for vote in votes for name in vote.scores))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*(name for name in _COLUMNS if name != "scores"), *names])
    for vote in votes:
        told = dict(zip(_COLUMNS, _row(vote), strict=True))
        told["time"] = datetime.fromtimestamp(vote.time, timezone.utc).isoformat()
        scores = [vote.scores.get(name, "") for name in names]
        rows.writerow([*(told[name] for name in _COLUMNS if name != "scores"), *scores])
    return text.getvalue()


def _row(vote: Vote) -> tuple[Any, ...]:
    values = {name: getattr(vote, name) for name in _COLUMNS}
    packed = {name: json.dumps(dict(values[name]), sort_keys=True, allow_nan=False) for name in _JSON}
    return tuple({**values, **packed, "kept": int(vote.kept)}.values())


def _vote(row: Mapping[str, Any]) -> Vote:
    return Vote(**{**row, **{name: json.loads(row[name]) for name in _JSON}, "kept": bool(row["kept"])})


def _is_new(file: sqlite3.Connection) -> bool:
    tables = file.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return tables == 0 and _number(file, "application_id") == 0 and _number(file, "user_version") == 0


def _number(file: sqlite3.Connection, name: str) -> int:
    return int(file.execute(f"PRAGMA {name}").fetchone()[0])
