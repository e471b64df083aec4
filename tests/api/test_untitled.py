"""Untitled runs over REST: what they make, what they refuse, who may ask, and what becomes of votes."""

from __future__ import annotations

import csv
import io
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from lib_sticky.api import untitled_report, untitled_routes
from lib_sticky.api.untitled_results import everywhere, results, taste, taste_words
from lib_sticky.api.untitled_runs import Run, Runs
from lib_sticky.lab.intervals import wilson
from lib_sticky.lab.likeness import identity
from lib_sticky.lab.png import CHUNK
from lib_sticky.presets import UNTITLED
from tests.api.easel import RULE, Easel, painting

URL = "/sticky/v1/untitled"
BODY = {"presets": ["U1", "U2"], "seeds": 3, "seed": 5, "batch": 2}


@pytest.fixture
def easel() -> Easel:
    return Easel()


@pytest.fixture
def runs(easel: Easel, tmp_path: Path) -> Iterator[Runs]:
    made = Runs(easel, tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def client(runs: Runs) -> TestClient:
    app = FastAPI()
    untitled_routes.add(app, runs, {})
    return TestClient(app)


def ended(runs: Runs, run_id: str, until: Callable[[Run], bool] = lambda run: not run.active) -> Run:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        run = runs.state(run_id)
        assert run is not None
        if until(run):
            return run
        time.sleep(0.01)
    raise AssertionError(f"still {run}")


def made(client: TestClient, runs: Runs, **changes: Any) -> Run:
    answer = client.post(URL, json={**BODY, **changes})
    assert answer.status_code == 200, answer.text
    return ended(runs, answer.json()["id"])


def test_a_run_makes_every_seed_of_every_preset(client: TestClient, runs: Runs, easel: Easel) -> None:
    run = made(client, runs)
    assert (run.state, run.model, run.rule) == ("done", "paint", RULE)
    assert [(config, list(seeds)) for config, seeds in easel.batches] == [
        (UNTITLED["U1"], [5, 6]), (UNTITLED["U2"], [5, 6]), (UNTITLED["U1"], [7]), (UNTITLED["U2"], [7]),
    ]  # fmt: skip
    told = client.get(f"{URL}/{run.id}").json()
    assert (told["state"], told["made"], told["total"], told["order"]["seed"]) == ("done", 6, 6, 5)
    assert sorted((each["preset"], each["seed"]) for each in told["pictures"]) == [
        (preset, seed) for preset in ("U1", "U2") for seed in (5, 6, 7)
    ]
    for each in told["pictures"]:
        picture = Image.open(io.BytesIO(client.get(f"{URL}/{run.id}/pictures/{each['sha256']}").content))
        assert np.array_equal(np.asarray(picture), np.asarray(painting(each["seed"], UNTITLED[each["preset"]])))
        assert identity(picture) == each["sha256"]
        assert picture.info[CHUNK] == each["infotext"]
        assert each["passed"] is (each["seed"] % 2 == 0)
        assert (each["vote"], each["taste"]) == (None, None)
    assert [row["id"] for row in client.get(URL).json()] == [run.id]


def test_the_empty_negative_is_the_one_chosen(client: TestClient, runs: Runs, easel: Easel) -> None:
    made(client, runs, presets=["U1", "U3"], null="same as the positive", seeds=1)
    assert [config.null for config, _ in easel.batches] == ["same as the positive"] * 2
    made(client, runs, presets=["U1", "U3"], seeds=1)
    assert [config.null for config, _ in easel.batches[2:]] == ["zeros", "as the host does"]


def test_votes_count_in_yields_and_between_presets(client: TestClient, runs: Runs) -> None:
    run = made(client, runs)
    keep = {("U1", 5): True, ("U1", 6): True, ("U1", 7): True, ("U2", 5): False, ("U2", 6): True}
    for each in run.pictures:
        if (each.preset, each.drawn.seed) in keep:
            body = {"sha256": each.sha256, "keep": keep[each.preset, each.drawn.seed]}
            assert client.post(f"{URL}/{run.id}/vote", json=body).status_code == 200
    told = client.get(f"{URL}/{run.id}").json()
    first, second = told["results"]
    assert [(each["voted"]["kept"], each["voted"]["votes"]) for each in (first, second)] == [(3, 3), (1, 2)]
    share = wilson(1, 2)
    assert second["voted"]["share"] == {
        "value": 0.5,
        "low": pytest.approx(share.low),
        "high": pytest.approx(share.high),
    }
    assert [(each["passed"]["kept"], each["passed"]["votes"]) for each in (first, second)] == [(1, 3), (1, 3)]
    (voted,), (ruled,) = told["by_votes"], told["by_rule"]
    assert (voted["seeds"], voted["only_first"], voted["only_second"], voted["p"]) == (2, 1, 0, 1.0)
    assert (ruled["seeds"], ruled["only_first"], ruled["only_second"]) == (3, 0, 0)
    rows = list(csv.DictReader(io.StringIO(client.get(f"{URL}/votes").text)))
    assert len(rows) == 5
    assert {row["model_hash"] for row in rows} == {"0a1b2c3d4e"}
    assert {row["kept"] for row in rows if row["preset"] == "U1"} == {"1"}
    assert all(float(row["entropy"]) > 0 for row in rows)
    overall = {each.name: (each.kept, each.votes) for each in everywhere(runs.votes.all())}
    assert overall == {
        "paint [0a1b2c3d4e]": (4, 5), "paint [0a1b2c3d4e], U1": (3, 3), "paint [0a1b2c3d4e], U2": (1, 2),
    }  # fmt: skip


def test_a_vote_is_withdrawn_and_counts_for_equal_pixels(client: TestClient, runs: Runs) -> None:
    run = made(client, runs, presets=["U1", "U5"], seeds=1)  # The easel paints both alike.
    sha256 = run.pictures[0].sha256
    assert run.pictures[1].sha256 == sha256
    told = client.post(f"{URL}/{run.id}/vote", json={"sha256": sha256, "keep": True}).json()
    assert [each["vote"] for each in told["pictures"]] == [True, True]
    told = client.post(f"{URL}/{run.id}/vote", json={"sha256": sha256, "keep": None}).json()
    assert [each["vote"] for each in told["pictures"]] == [None, None]
    assert runs.votes.all() == []


def test_near_duplicates_are_told(client: TestClient, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.api.easel.painting", lambda seed, *_: painting(seed // 2, UNTITLED["U1"], 24))
    run = made(client, runs, presets=["U1"], seed=4, seeds=4)
    (found,) = results(run, []).presets
    assert found.duplicates == {5: 4, 7: 6}


def test_a_taste_is_learned_once_there_are_enough_votes(client: TestClient, runs: Runs) -> None:
    run = made(client, runs, presets=["U1"], seeds=40, batch=16)
    middle = float(np.median([each.scores["contrast"] for each in run.pictures]))
    for each in run.pictures[:29]:
        runs.vote(run, each.sha256, each.scores["contrast"] > middle)
    assert "29 votes; 30" in client.get(f"{URL}/{run.id}").json()["taste"]["words"]
    for each in run.pictures[29:]:
        runs.vote(run, each.sha256, each.scores["contrast"] > middle)
    told = client.get(f"{URL}/{run.id}").json()
    assert told["taste"]["auc"]["low"] > 0.5
    assert "40 votes" in told["taste"]["words"]
    chances = {each["sha256"]: each["taste"] for each in told["pictures"]}
    ordered = sorted(run.pictures, key=lambda each: each.scores["contrast"])
    assert chances[ordered[0].sha256] < chances[ordered[-1].sha256]
    learned = taste(runs.votes.all())
    assert taste_words(learned).startswith("Learned from 40 votes")


def test_cancel_keeps_what_is_finished(client: TestClient, runs: Runs, easel: Easel) -> None:
    easel.gate = threading.Semaphore(2)
    first, second = (client.post(URL, json=BODY).json()["id"] for _ in range(2))
    ended(runs, first, lambda run: len(run.pictures) == 4)
    assert client.delete(f"{URL}/{second}").json()["state"] == "cancelled"
    client.delete(f"{URL}/{first}")
    run = ended(runs, first)
    assert (run.state, run.message) == ("cancelled", "cancelled; 4 pictures are kept")
    assert all(each.file.is_file() for each in run.pictures)
    assert easel.interrupted == 1
    assert client.get(f"{URL}/{second}").json()["message"] == "cancelled before it began"


def test_another_model_ends_the_run_and_is_not_counted(client: TestClient, runs: Runs, easel: Easel) -> None:
    easel.models = ["paint", "paint", "ink"]
    run = made(client, runs)
    assert run.state == "failed"
    assert "another model was loaded (ink after paint)" in run.message
    assert len(run.pictures) == 4


def test_a_painter_that_fails_says_why_and_the_next_run_goes_on(client: TestClient, runs: Runs, easel: Easel) -> None:
    easel.fails = RuntimeError("out of paint")
    assert made(client, runs).message == "out of paint"
    easel.fails = ZeroDivisionError("brush")
    assert made(client, runs).message == "ZeroDivisionError: brush"
    easel.fails = None
    assert made(client, runs).state == "done"


def test_the_report_is_one_page_that_needs_nothing(client: TestClient, runs: Runs) -> None:
    run = made(client, runs)
    runs.vote(run, run.pictures[0].sha256, True)
    page = client.get(f"{URL}/{run.id}/report").text
    assert "What paint draws when it is asked for nothing" in page
    assert page.count("data:image/jpeg;base64,") == 6
    assert "By votes: 1 of 1 kept, yield 1.000, 95% interval 0.207 to 1.000." in page
    assert "http" not in page
    path = untitled_report.write(run, runs.votes.all())
    assert path.read_text(encoding="utf-8") == page
    assert sorted(each.name for each in run.folder.iterdir()) == ["pictures", "report.html"]
    run.pictures[0].file.unlink()
    assert client.get(f"{URL}/{run.id}/report").status_code == 422


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": 0}, "seeds: 0 is outside 1 to 1024"),
        ({"seeds": 2.5}, "seeds: 2.5 is not a whole number"),
        ({"seeds": True}, "seeds: True is not a whole number"),
        ({"seed": -1}, "seed: -1 is outside 0"),
        ({"steps": 151}, "steps: 151 is outside 1 to 150"),
        ({"cfg": "7"}, "cfg: '7' is not a number"),
        ({"width": 100}, "width: 100 is no multiple of 8"),
        ({"sampler": "Magic"}, "sampler: 'Magic' is not one of: Euler, DDIM"),
        ({"presets": []}, "presets: choose at least one"),
        ({"presets": ["U9"]}, "presets: there is no preset 'U9'"),
        ({"presets": ["U1", "U1"]}, "presets: a preset is named twice"),
        ({"presets": "U1"}, "presets: 'U1' is not a list"),
        ({"presets": [["U1"]]}, "presets: [['U1']] is not a list"),
        ({"presets": list(UNTITLED), "seeds": 1024}, "seeds: 8192 pictures are too many"),
        ({"null": "void"}, "null: 'void' is not one of"),
        ({"sead": 3}, "'sead': no such field of an untitled run; the nearest is 'seed'"),
        ({"presets": ["article v2.0"], "steps": 7}, "sampler: seven steps"),
    ],
)
def test_bad_input_names_the_field(client: TestClient, runs: Runs, change: dict[str, Any], words: str) -> None:
    answer = client.post(URL, json={**BODY, **change})
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert runs.states() == ()


@pytest.mark.parametrize("body", [[], "U1", None, 3])
def test_a_body_that_is_no_object_is_refused(client: TestClient, body: Any) -> None:
    assert client.post(URL, json=body).status_code == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"sha256": "x", "keep": True}, "sha256"),
        ({"sha256": 3, "keep": True}, "sha256"),
        ({"sha256": "x", "keep": 1}, "keep"),
        ({"sha256": "x"}, "(whole body)"),
        ([], "(whole body)"),
    ],
)
def test_a_bad_vote_names_the_field(client: TestClient, runs: Runs, body: Any, field: str) -> None:
    run = made(client, runs, seeds=1)
    answer = client.post(f"{URL}/{run.id}/vote", json=body)
    assert (answer.status_code, f"Sticky: {field}" in answer.text) == (422, True)
    assert runs.votes.all() == []


def test_unknown_runs_and_pictures_are_not_found(client: TestClient, runs: Runs) -> None:
    run = made(client, runs, seeds=1)
    for method, path in (
        ("GET", "/x"), ("DELETE", "/x"), ("POST", "/x/vote"), ("GET", "/x/report"), ("GET", f"/{run.id}/pictures/x"),
        ("GET", f"/{run.id}/pictures/..%2F..%2Fvotes.sqlite3"),
    ):  # fmt: skip
        assert client.request(method, URL + path, json={} if method == "POST" else None).status_code == 404


def test_a_newer_file_of_votes_is_told_and_left_alone(client: TestClient, runs: Runs) -> None:
    run = made(client, runs, seeds=1)
    client.post(f"{URL}/{run.id}/vote", json={"sha256": run.pictures[0].sha256, "keep": True})
    with sqlite3.connect(runs.votes.path) as file:
        file.execute("PRAGMA user_version = 99")
    before = runs.votes.path.read_bytes()
    answer = client.post(f"{URL}/{run.id}/vote", json={"sha256": run.pictures[0].sha256, "keep": False})
    assert (answer.status_code, "is of version 99" in answer.text) == (422, True)
    assert runs.votes.path.read_bytes() == before


def test_with_accounts_nobody_else_gets_an_answer(runs: Runs) -> None:
    app = FastAPI()
    untitled_routes.add(app, runs, {"ann": "secret"})
    client = TestClient(app)
    for method, path in (
        ("POST", ""), ("GET", ""), ("GET", "/votes"), ("GET", "/x"), ("DELETE", "/x"), ("POST", "/x/vote"),
        ("GET", "/x/report"), ("GET", "/x/pictures/y"),
    ):  # fmt: skip
        for auth in (None, ("ann", "wrong"), ("bob", "secret"), ("bob", "")):
            body = BODY if method == "POST" else None
            assert client.request(method, URL + path, json=body, auth=auth).status_code == 401
    assert runs.states() == ()
    assert client.post(URL, json=BODY, auth=("ann", "secret")).status_code == 200
