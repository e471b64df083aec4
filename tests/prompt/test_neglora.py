"""Negative LoRAs as people write them, and as people should not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.prompt.neglora import NegLora, NegLoraError, listed, taken


@pytest.mark.parametrize(
    ("text", "left", "loras"),
    [
        ("bad, <neglora:wrong:0.8>", "bad, ", (NegLora("wrong", 0.8),)),
        ("<neglora:wrong>", "", (NegLora("wrong", 1.0),)),
        ("a<neglora: my file : -1 >b<neglora:x:2>", "ab", (NegLora("my file", -1.0), NegLora("x", 2.0))),
        ("a <lora:x:1> <neglora", "a <lora:x:1> <neglora", ()),
        ("", "", ()),
    ],
)
def test_tags_are_taken_out_of_the_negative(text: str, left: str, loras: tuple[NegLora, ...]) -> None:
    assert taken(text) == (left, loras)


@pytest.mark.parametrize(
    ("field", "loras"),
    [
        ("", ()),
        (" , ", ()),
        ("wrong:0.8, other", (NegLora("wrong", 0.8), NegLora("other", 0.5))),
        ("folder/wrong.safetensors", (NegLora("folder/wrong.safetensors", 0.5),)),
        (r"C:\loras\wrong.safetensors", (NegLora(r"C:\loras\wrong.safetensors", 0.5),)),
        (r"C:\loras\wrong.safetensors:-2", (NegLora(r"C:\loras\wrong.safetensors", -2.0),)),
    ],
)
def test_a_field_lists_loras(field: str, loras: tuple[NegLora, ...]) -> None:
    assert listed(field, 0.5) == loras


@pytest.mark.parametrize("written", ["", ":0.8", "wrong:much", "wrong:nan", "wrong:inf"])
def test_what_cannot_be_understood_is_said(written: str) -> None:
    with pytest.raises(NegLoraError, match=r"wrong:0\.8"):
        taken(f"x <neglora:{written}>")


@given(st.text(max_size=200))
def test_any_text_without_a_tag_is_left_alone(text: str) -> None:
    if "<neglora:" not in text:
        assert taken(text) == (text, ())


def test_tags_that_never_close_take_linear_time() -> None:
    started = time.perf_counter()
    assert taken("<neglora:" * 100_000) == ("<neglora:" * 100_000, ())
    assert time.perf_counter() - started < 2
