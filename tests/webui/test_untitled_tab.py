"""The untitled tab: its controls, what its handlers answer, and what the gallery says of pictures."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")

from lib_sticky.api.untitled_orders import DEFAULTS
from lib_sticky.api.untitled_runs import Run, Runs
from lib_sticky.presets import UNTITLED
from lib_sticky.webui import untitled_tab, untitled_words
from lib_sticky.webui.untitled_tab import LATEST, _body, _Desk, _fields
from tests.api.easel import Easel


class Outbox:
    """Takes the settings nowhere, and says what it was given."""

    place = "txt2img"
    hires = True

    def __init__(self) -> None:
        self.bound: list[tuple[Any, Any]] = []

    def bind(self, button: Any, text: Any) -> None:
        self.bound.append((button, text))


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    made = Runs(Easel(), tmp_path)
    yield made
    made.close()


@pytest.fixture
def desk(runs: Runs) -> _Desk:
    return _Desk(runs)


def form(**changes: Any) -> list[Any]:
    given = {**DEFAULTS, "presets": ["U1", "U2"], "seeds": 3.0, "steps": 4.0, "batch": 2, **changes}
    return [given[name] for name in _fields()]


def view(run: str = LATEST, order: str = untitled_words.BY_PRESET, page: Any = 1, seen: Any = ()) -> list[Any]:
    return [run, order, page, True, list(seen)]


def ended(runs: Runs) -> Run:
    give_up = time.monotonic() + 60
    while any(run.active for run in runs.states()):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return runs.states()[-1]


def begun(desk: _Desk, **changes: Any) -> Run:
    assert "is in the queue" in desk.start(*form(**changes))[1]
    return ended(desk.runs)


def test_every_part_has_an_id_and_the_button_is_bound(runs: Runs) -> None:
    outbox = Outbox()
    page = untitled_tab.build(runs, outbox)
    ids = {block.elem_id for block in page.blocks.values() if getattr(block, "elem_id", None)}
    wanted = (*_fields(), "start", "cancel", "queue", "gallery", "tables", "one", "send", "send_hires", "poll", "act")
    assert {f"sticky_untitled_{name}" for name in wanted} <= ids
    ((button, text),) = outbox.bound
    assert (button.elem_id, text.elem_id) == ("sticky_untitled_sent", "sticky_untitled_sent_text")


def test_whole_numbers_from_sliders_are_whole() -> None:
    body = _body(form())
    assert (body["seeds"], body["steps"], body["cfg"]) == (3, 4, 3.0)
    assert isinstance(body["seeds"], int)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": None}, "First seed: is empty"),
        ({"presets": []}, "presets: choose at least one"),
        ({"steps": 400}, "steps: 400 is outside"),
        ({"presets": list(UNTITLED), "seeds": 1024}, "too many"),
    ],
)
def test_a_form_that_cannot_be_used_says_why(desk: _Desk, change: dict[str, Any], words: str) -> None:
    _, told, _ = desk.start(*form(**change))
    assert words in told
    assert "role='alert'" in told
    assert desk.runs.states() == ()


def test_a_run_fills_the_gallery_and_the_tables(desk: _Desk) -> None:
    assert desk.show(*view()) == ("", "")
    assert "No run yet" in desk.queue()
    run = begun(desk)
    assert f"data-finished='{run.id}:6:done'" in desk.queue()
    gallery, tables = desk.show(*view())
    assert gallery.count("<figure") == 6
    assert "sticky-drawn sticky-blurred" in gallery
    assert "Page 1 of 1, 6 pictures" in gallery
    assert (
        "<td>U1</td><td>3</td><td>0 of 0</td><td>no vote</td><td>1 of 3</td><td>0.333 (0.061 to 0.792)</td>" in tables
    )
    assert "U1 against U2</td><td>the rule</td><td>3</td><td>0</td><td>0</td><td>1</td>" in tables
    assert "0 votes; 30" in tables


def test_clicks_vote_show_and_stay_unblurred(desk: _Desk) -> None:
    run = begun(desk)
    first, second = run.of("U1")[:2]
    acts = [
        {"sha256": first.sha256, "keep": True}, {"sha256": second.sha256, "keep": False}, {"show": "U1/2"},
        {"show": "U9/99"},
    ]  # fmt: skip
    tables, one, infotext, seen = desk.act(json.dumps(acts), *view())
    assert "<td>1 of 2</td><td>0.500 (0.095 to 0.905)</td>" in tables
    assert "U1, seed 2" in one and "<th>entropy</th>" in one and "data:image/jpeg" in one
    assert (infotext, seen) == (second.infotext, ["U1/2"])
    gallery, _ = desk.show(*view(seen=seen))
    assert gallery.count("sticky-seen") == 1
    assert gallery.count("aria-pressed='true'") == 2
    tables, _, _, seen = desk.act(json.dumps([{"sha256": first.sha256, "keep": None}]), *view(seen=seen))
    assert "<td>0 of 1</td>" in tables
    assert seen == ["U1/2"]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"sha256": "x", "keep": true}]', '[{"keep": 3}]', "\0"])
def test_actions_that_make_no_sense_are_told(desk: _Desk, text: str) -> None:
    assert "There is no run yet" in desk.act(text, *view())[0]
    begun(desk)
    assert "role='alert'" in desk.act(text, *view())[0]
    assert desk.runs.votes.all() == []


def test_the_best_come_first_once_there_is_a_taste(desk: _Desk) -> None:
    run = begun(desk, presets=["U1"], seeds=40, batch=16)
    assert "0 votes; 30 are needed" in desk.show(*view(order=untitled_words.BY_TASTE))[0]
    middle = sorted(each.scores["contrast"] for each in run.pictures)[20]
    for each in run.pictures:
        desk.runs.vote(run, each.sha256, each.scores["contrast"] > middle)
    gallery, tables = desk.show(*view(order=untitled_words.BY_TASTE))
    chances = [int(found) for found in re.findall(r"(\d+)% to your taste", gallery)]
    assert len(chances) == 40
    assert chances == sorted(chances, reverse=True)
    assert "cross-validated AUC" in tables


def test_pages_and_orders(desk: _Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untitled_words, "PAGE", 4)
    begun(desk)

    def names(order: str, page: Any) -> list[str]:
        return re.findall("data-name='([^']*)'", desk.show(*view(order=order, page=page))[0])

    assert names(untitled_words.BY_PRESET, 1) == ["U1/1", "U1/2", "U1/3", "U2/1"]
    assert names(untitled_words.BY_PRESET, 99) == ["U2/2", "U2/3"]
    assert names(untitled_words.BY_SEED, None) == ["U1/1", "U2/1", "U1/2", "U2/2"]


def test_an_older_run_can_be_shown(desk: _Desk) -> None:
    first = begun(desk, presets=["U1"])
    begun(desk, presets=["U3"])
    assert "U3, seed 1" in desk.show(*view())[0]
    assert "U1, seed 1" in desk.show(*view(first.name))[0]


def saved(text: str) -> str:
    (held,) = re.findall("base64,([^']*)'", text)
    return base64.b64decode(held).decode()


def test_report_votes_and_yields_can_be_taken_away(desk: _Desk) -> None:
    assert "there is none yet" in desk.report(LATEST)
    run = begun(desk)
    desk.runs.vote(run, run.pictures[0].sha256, True)
    told = desk.report(LATEST)
    assert saved(told) == (run.folder / "report.html").read_text(encoding="utf-8")
    assert str(run.folder) in told
    assert saved(desk.export()).count("\n") == 2
    assert "<td>paint [0a1b2c3d4e], U1</td><td>1 of 1</td><td>1.000 (0.207 to 1.000)</td>" in desk.overall()


def test_a_damaged_file_of_votes_is_told_and_pictures_are_shown(desk: _Desk) -> None:
    begun(desk)
    desk.runs.votes.path.write_bytes(b"no database")
    gallery, tables = desk.show(*view())
    assert gallery.count("<figure") == 6
    assert "left as it is" in tables
    for told in (desk.export(), desk.overall(), desk.report(LATEST)):
        assert "left as it is" in told


def test_a_picture_whose_file_is_gone_says_so(desk: _Desk) -> None:
    run = begun(desk)
    run.of("U1")[0].file.unlink()
    assert "cannot be read" in desk.act('[{"show": "U1/1"}]', *view())[1]


def test_names_are_escaped(runs: Runs, desk: _Desk) -> None:
    painter: Any = runs.painter
    painter.models = ["<script>alert(1)</script>"]
    run = begun(desk)
    desk.runs.vote(run, run.pictures[0].sha256, True)
    for told in (desk.act('[{"show": "U1/1"}]', *view())[1], desk.overall(), *desk.show(*view())):
        assert "<script>" not in told
    assert "<script>alert" not in saved(desk.report(LATEST))
