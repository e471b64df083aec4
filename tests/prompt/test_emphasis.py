"""Emphasis by hand-computed cases, properties and hostile text."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.prompt.emphasis import BREAK, LESS, MORE, emphasis

CASES = [
    ("", [("", 1.0)]),
    ("plain words", [("plain words", 1.0)]),
    ("an (important) word", [("an ", 1.0), ("important", MORE), (" word", 1.0)]),
    ("(exact:1.3)", [("exact", 1.3)]),
    ("(exact : 1.3 )", [("exact ", 1.3)]),
    ("[less]", [("less", LESS)]),
    ("((a))", [("a", MORE * MORE)]),
    ("(a:-1)", [("a", -1.0)]),
    ("(open", [("open", MORE)]),
    ("[open", [("open", LESS)]),
    ("close) it]", [("close) it]", 1.0)]),
    ("(a)(b)", [("ab", MORE)]),
    ("a:b", [("a:b", 1.0)]),
    ("a:1.2)", [("a:1.2)", 1.0)]),
    (r"\(a\) \[b\] \\ \n", [("(a) [b] \\ n", 1.0)]),
    ("(a [b) c]", [("a ", MORE), ("b", MORE * LESS), (" c", LESS)]),
    ("(a:1.2.3)", [("a:1.2.3)", MORE)]),
    ("a BREAK b", [("a", 1.0), BREAK, ("b", 1.0)]),
    ("a BREAKS b", [("a BREAKS b", 1.0)]),
    ("BREAK BREAK", [("", 1.0), BREAK, ("", 1.0), BREAK, ("", 1.0)]),
    ("(a BREAK b:1.2)", [("a", 1.2), ("BREAK", -1.2), ("b", 1.2)]),
    (
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        [
            ("a ", 1.0), ("house", 1.3 * MORE * MORE), (" ", MORE), ("on", LESS * MORE), (" a ", MORE),
            ("hill", 0.5 * MORE), (", sun, ", MORE), ("sky", MORE * MORE * MORE * MORE), (".", MORE),
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_by_hand(text: str, expected: list[tuple[str, float]]) -> None:
    assert emphasis(text) == tuple(expected)


def test_innermost_factor_comes_first_to_the_last_bit() -> None:
    assert emphasis("(((a:1.3):1.7):0.3)") == (("a", ((1.0 * 1.3) * 1.7) * 0.3),)
    assert emphasis("[((a:0.7)]:1.9)") == (("a", ((1.0 * 0.7) * LESS) * 1.9),)


@given(st.text(max_size=80))
def test_never_empty_and_runs_are_joined(text: str) -> None:
    found = emphasis(text)
    assert found
    assert all(left[1] != right[1] for left, right in itertools.pairwise(found))


@given(st.text(alphabet="ab ,.:", max_size=60))
def test_text_without_brackets_stays(text: str) -> None:
    assert emphasis(text) == ((text, 1.0),)


@given(st.integers(1, 200))
def test_depth_beyond_the_exact_one_stays_close(depth: int) -> None:
    ((_, weight),) = emphasis("(" * depth + "a" + ")" * depth)
    assert weight == pytest.approx(MORE**depth, rel=1e-12)


@pytest.mark.parametrize("unit", ["(", "(a", "[a", "a)", "(a:1.1)", "\\", ":", ":1", " ", "BREAK ", "(a [b) ", ": "])
def test_hostile_text_is_read_in_linear_time(unit: str) -> None:
    started = time.process_time()
    emphasis(unit * (20_000 // len(unit)))
    assert time.process_time() - started < 2.0
