"""Prompt editing and alternation, by hand-computed cases, properties and hostile text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.prompt.schedule import schedule

CASES = [
    ("test", ((10, "test"),)),
    ("", ((10, ""),)),
    ("[a:b:0.5]", ((5, "a"), (10, "b"))),
    ("[a:b:7]", ((7, "a"), (10, "b"))),
    ("[a:b:12]", ((10, "a"),)),
    ("[a:b:0]", ((10, "b"),)),
    ("[a:b:-3]", ((10, "b"),)),
    ("[a::4]", ((4, "a"), (10, ""))),
    ("[:b:4]", ((4, ""), (10, "b"))),
    ("[b:4]", ((4, ""), (10, "b"))),
    ("x[:3]y", ((3, "xy"), (10, "xy"))),
    ("[a:b: 4\n]", ((4, "a"), (10, "b"))),
    ("[a : b : .3] c", ((3, "a  c"), (10, " b  c"))),
    ("[a:b:1e1]", ((10, "a"),)),
    ("a[b:[c:d:2]:1]e", ((1, "abe"), (2, "ace"), (10, "ade"))),
    ("[[a:b:2]:c:6]", ((2, "a"), (6, "b"), (10, "c"))),
    ("[(a:2):3]", ((3, ""), (10, "(a:2)"))),
    ("([a:b:3]:1.2)", ((3, "(a:1.2)"), (10, "(b:1.2)"))),
    ("[x]", ((10, "[x]"),)),
    ("[a:b]", ((10, "[a:b]"),)),
    ("[a:b:c:3]", ((10, "[a:b:c:3]"),)),
    ("[a:b:3 4]", ((10, "[a:b:3 4]"),)),
    ("(a:b:c)", ((10, "(a:b:c)"),)),
    ("[(a:b:c):3]", ((10, "[(a:b:c):3]"),)),
    ("a [unbalanced", ((10, "a [unbalanced"),)),
    ("a) [b:c:3]", ((3, "a) b"), (10, "a) c"))),
    ("[ (a [b:c:3]", ((3, "[ (a b"), (10, "[ (a c"))),
    (r"\[a:b:3\] [c:d:4]", ((4, r"\[a:b:3\] c"), (10, r"\[a:b:3\] d"))),
    (r"[a\:b:c\]:3]", ((3, r"a\:b"), (10, r"c\]"))),
    ("a|b [c:d:3]", ((10, "a|b [c:d:3]"),)),
    ("[(a|b):c:3]", ((10, "[(a|b):c:3]"),)),
    ("[a|b:3]", ((10, "[a|b:3]"),)),
    ("tail\\", ((10, "tail\\"),)),
    ("\\\n[a:b:3]", ((10, "\\\n[a:b:3]"),)),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_by_hand(text: str, expected: tuple[tuple[int, str], ...]) -> None:
    assert schedule(text, 10) == expected


def test_alternation_takes_one_option_a_step_and_an_empty_one_counts() -> None:
    assert [text for _, text in schedule("[fe|]male", 4)] == ["female", "male", "female", "male"]
    assert [text for _, text in schedule("[a|b|c]", 5)] == ["a", "b", "c", "a", "b"]
    assert [text for _, text in schedule("[a||]", 4)] == ["a", "", "", "a"]
    assert [text for _, text in schedule("[[a|b]|c]", 4)] == ["a", "c", "a", "c"]


def test_editing_inside_of_alternation() -> None:
    assert schedule("[[a:b:2]|c]", 4) == ((1, "a"), (2, "c"), (3, "b"), (4, "c"))


def test_hires_pass_counts_fractions_from_one_and_steps_from_the_first_pass() -> None:
    assert schedule("[a:b:0.5]", 8, hires_base_steps=20) == ((8, "b"),)
    assert schedule("[a:b:1.5]", 8, hires_base_steps=20) == ((4, "a"), (8, "b"))
    assert schedule("[a:b:23]", 8, hires_base_steps=20) == ((3, "a"), (8, "b"))
    assert schedule("[a:b:12]", 8, hires_base_steps=20) == ((8, "b"),)


def test_equal_neighbours_are_kept() -> None:
    assert schedule("[a:a:3]", 10) == ((3, "a"), (10, "a"))


@given(st.text(alphabet="ab ()[]:|\\.05,", max_size=80), st.integers(1, 30))
def test_stretches_rise_to_the_last_step(text: str, steps: int) -> None:
    ends = [end for end, _ in schedule(text, steps)]
    assert ends == sorted(set(ends))
    assert ends[-1] == steps
    assert ends[0] >= 1


@given(st.text(alphabet="ab ,.0", max_size=60))
def test_text_without_marks_stays(text: str) -> None:
    assert schedule(text, 20) == ((20, text),)


@pytest.mark.parametrize(
    "unit", ["(", "[", ")", "[a:", "[a|", "[a:b:3]", "[a|b]", "\\", ":", "(a:", "[[a:b:1]:", " ", "[ ", "[:3]("]
)
def test_hostile_text_is_read_in_linear_time(unit: str) -> None:
    started = time.process_time()
    schedule(unit * (20_000 // len(unit)), 20)
    assert time.process_time() - started < 2.0


def test_deep_nesting_needs_no_recursion() -> None:
    depth = 5_000
    assert schedule("[" * depth + "a" + ":b:3]" * depth, 5) == ((3, "a"), (5, "b"))


def test_a_huge_number_is_the_last_step() -> None:
    assert schedule(f"[a:b:{'9' * 400}]", 10) == ((10, "a"),)
    assert schedule("[a:b:1e999]", 10) == ((10, "a"),)
