"""The tab of the negative LoRA: a control for every field, and buttons that ask for what the form says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")

from lib_sticky.api import neglora_orders, wrong_orders
from lib_sticky.api.neglora_orders import Compare, Shelf, Train
from lib_sticky.api.programs import Programs
from lib_sticky.api.wrong_jobs import WrongPictures
from lib_sticky.webui import neglora_tab
from lib_sticky.webui.neglora_tab import _COMPARE, _MAKE, _TRAIN, _defaults, _Desk, _names
from tests.api.easel import Easel
from tests.api.test_neglora_routes import ended


@pytest.fixture
def easel() -> Easel:
    return Easel()


@pytest.fixture
def wrong(easel: Easel, tmp_path: Path) -> Iterator[WrongPictures]:
    made = WrongPictures(easel, tmp_path)
    yield made
    made.close()


@pytest.fixture
def desk(wrong: WrongPictures, tmp_path: Path) -> _Desk:
    return _Desk(wrong, Programs(lambda: None), Shelf(tmp_path, None))


def made(desk: _Desk, **changed: Any) -> tuple[str, str]:
    """What pressing "Make pictures" gives, with the untouched form's values or others."""
    values = {**wrong_orders.DEFAULTS, "words": "ugly", "cfg_to": 8.0, **changed}
    answer = desk.make(*(values[name] for name in _names(_MAKE)))
    for job in desk.wrong.states():
        ended(desk.wrong, job.id)
    return answer


def train(chosen: Any, **changed: Any) -> list[Any]:
    values = {**_defaults(Train), **changed}
    return [chosen, *(values[name] for name in _names(_TRAIN))]


def test_every_field_has_its_control(wrong: WrongPictures, tmp_path: Path) -> None:
    page = neglora_tab.build(wrong, Programs(lambda: None), Shelf(tmp_path, None))
    found = {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}
    parts = {"make": wrong_orders.OPTIONS, "train": neglora_orders.TRAIN, "compare": neglora_orders.COMPARE}
    for part, options in parts.items():
        for name, about in options.items():
            assert found[f"sticky_neglora_{part}_{name}"].label == about.label
    assert "sticky_neglora_cannot_run" in found
    assert all(block.do_not_save_to_config for block in page.blocks.values())  # type: ignore[attr-defined]


def test_the_form_makes_a_set_which_can_be_chosen_then(desk: _Desk, easel: Easel) -> None:
    assert desk.look(None) == desk.look("../..")
    queue, told = made(desk, count=2.0, prompt="a cat")
    assert "In the queue" in told and "sticky-jobs" in queue
    assert [texts.positive for texts, _ in easel.asked] == ["a cat, (ugly:1.46)"] * 2
    chosen, look = desk.refresh(None)
    assert [str(each) for each in chosen["choices"]] in (["wrong"], ["('wrong', 'wrong')"])
    assert chosen["value"] == "wrong" and "contact-sheet.png" in look and "data:image/jpeg" in look
    assert "data-active='0' data-finished='1'" in desk.queue()


def test_without_an_environment_the_command_is_shown(desk: _Desk, tmp_path: Path) -> None:
    made(desk)
    values = train("wrong", rank=4.0)
    for told in (desk.start(desk.training)(*values)[1], desk.show(desk.training)(*values)):
        assert "python run.py neglora train --rank=4 " in told and f"--data={tmp_path / 'wrong'}" in told
    (tmp_path / "wrong" / "lora").mkdir()
    (tmp_path / "wrong" / "lora" / "wrong.safetensors").write_bytes(b"x")
    defaults = _defaults(Compare)
    values = ["wrong", "wrong", "cat\n\ndog", *(defaults[name] for name in _names(_COMPARE))]
    assert "--prompt=cat --prompt=dog" in desk.show(desk.comparison)(*values)


def test_what_cannot_be_used_is_said_where_it_was_pressed(desk: _Desk) -> None:
    assert "no word" in made(desk, words=" , ")[1]
    assert "is empty" in made(desk, seed=None)[1]
    assert "set: is empty" in desk.show(desk.training)(*train(None))
    assert "role='alert'" in desk.start(desk.training)(*train("none"))[1]
