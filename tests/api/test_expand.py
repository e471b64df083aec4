"""A config as plain text, and the pictures that prove it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from lib_sticky.api.expand import expanded
from lib_sticky.config import Config
from lib_sticky.prompt.branches import branches
from tests.api.test_preview import client

ON = Config(enabled=True, terms="bad")


def test_the_tracked_negative_is_written_out() -> None:
    found = expanded(ON, "a [cat:dog:0.5]", "ugly", 7.0)
    assert asdict(found) == {
        "prompt": "a [cat:dog:0.5]", "negative_prompt": "a [cat:dog:0.5], ugly, bad", "sticky": {"enabled": False},
        "notes": (),
    }  # fmt: skip


def test_two_scale_becomes_and_whose_weights_add_up_to_one() -> None:
    found = expanded(Config(enabled=True, terms="bad", twoscale=3.5), "a cat", "", 7.0)
    assert (found.prompt, found.negative_prompt) == ("a cat :1.5 AND a cat, bad :-0.5", "")
    assert found.sticky == {"enabled": False, "twoscale": 0.0}
    assert [(part.text, part.weight) for part in branches(found.prompt)] == [("a cat", 1.5), ("a cat, bad", -0.5)]


@pytest.mark.parametrize(
    ("prompt", "negative", "scale", "said"),
    [("a AND b", "", 7.0, "already has parts"), ("a", "ugly", 7.0, "empty negative"), ("a", "", 0.0, "above 0")],
)
def test_what_cannot_be_and_keeps_its_scale(prompt: str, negative: str, scale: float, said: str) -> None:
    found = expanded(Config(enabled=True, terms="bad", twoscale=2.0), prompt, negative, scale)
    assert found.prompt == prompt and "twoscale" not in found.sticky
    assert said in found.notes[0]


def test_what_text_cannot_say_is_named() -> None:
    found = expanded(Config(enabled=True, gate=1.0, clamp=0.5), "a cat", "", 7.0)
    assert [note.split(" cannot")[0] for note in found.notes] == ["Odds gate", "Norm clamp"]


def test_the_route() -> None:
    app = client()
    body: dict[str, Any] = {"prompt": "a cat", "sticky": {"terms": "bad", "twoscale": 7}, "cfg_scale": 7}
    found = app.post("/sticky/v1/expand", json=body).json()
    assert found["prompt"] == "a cat :2 AND a cat, bad :-1" and found["sticky"] == {"enabled": False, "twoscale": 0.0}
    for bad in ([], {"prompt": 1}, {"sticky": {"term": "x"}}, {"cfg_scale": "7"}):
        assert app.post("/sticky/v1/expand", json=bad).status_code == 422
