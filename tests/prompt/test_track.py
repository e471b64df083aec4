"""The tracked negative: every row of the table of syntaxes, by hand; then properties and hostile text."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib_sticky.config import Config
from lib_sticky.prompt.interval import on_interval
from lib_sticky.prompt.negative import tracked_text
from lib_sticky.prompt.schedule import schedule
from lib_sticky.prompt.track import copied, track

BY_HAND = [
    ("plain", "a cat", "a cat, bad"),
    ("weights", "a (red:1.3) [cat] ((now))", "a (red:1.3) [cat] ((now)), bad"),
    ("editing", "a [cat:dog:0.5] [x::10] [:y:3]", "a [cat:dog:0.5] [x::10] [:y:3], bad"),
    ("alternation", "[cat|dog|]", "[cat|dog|], bad"),
    ("nested", "[a [b:c:0.3] ((d)):e:0.7]", "[a [b:c:0.3] ((d)):e:0.7], bad"),
    ("AND", "a cat AND a dog", "a cat BREAK a dog, bad"),
    ("AND with weights", "a cat :1.2 AND a dog : -0.5", "a cat BREAK a dog, bad"),
    ("AND without blanks is a word", "SAND ANDY", "SAND ANDY, bad"),
    ("a weight without AND", "a cat :1.2", "a cat, bad"),
    ("a time is no weight of its own", "at 5:30 sharp", "at 5:30 sharp, bad"),
    ("neutral-prompt", "a AND_PERP b :0.8 AND_SALT c AND_TOPK d", "a BREAK b BREAK c BREAK d, bad"),
    ("regional prompter", "a ADDCOMM b ADDBASE c ADDROW d ADDCOL e", "a BREAK b BREAK c BREAK d BREAK e, bad"),
    ("BREAK", "a cat BREAK a dog", "a cat BREAK a dog, bad"),
    ("extra networks", "a <lora:x:1> cat<lyco:y:0.5:te=1><hypernet:z:1>", "a  cat, bad"),
    ("an unclosed tag is text", "a <lora:x:1 cat", "a <lora:x:1 cat, bad"),
    ("an empty tag is text", "a <lora:> cat", "a <lora:> cat, bad"),
    ("no tag", "a < b > c <3", "a < b > c <3, bad"),
    ("NegPip", "a cat (dog:-1) (big (red:-0.5) one:1.2)", "a cat  (big  one:1.2), bad"),
    ("NegPip with blanks", "a (dog: -1.5 ) cat", "a  cat, bad"),
    ("NegPip around others", "a (dog (big:1.2):-1) cat", "a  cat, bad"),
    ("a minus that is no weight", "a (dog: - ) (x-1)", "a (dog: - ) (x-1), bad"),
    ("embedding", "a cat, EasyNegative, my-ti:2", "a cat, EasyNegative, my-ti, bad"),
    ("escapes", r"a \(cat\) \[dog\] (x\:-1\))", r"a \(cat\) \[dog\] (x\:-1\)), bad"),
    ("unbalanced", "a (cat [dog", "a (cat [dog, bad"),
    ("line breaks", "a cat\nAND\na dog", "a cat BREAK a dog, bad"),
]


@pytest.mark.parametrize(("positive", "expected"), [row[1:] for row in BY_HAND], ids=[row[0] for row in BY_HAND])
def test_by_hand(positive: str, expected: str) -> None:
    assert track(positive, "", "bad") == expected


@pytest.mark.parametrize("positive", ["", "  ", ",", "<lora:x:1>", "(dog:-1)", "AND", " , AND :1.2"])
def test_nothing_to_track_leaves_the_negative_alone(positive: str) -> None:
    assert track(positive, "ugly", "bad") == "ugly"


def test_the_users_own_negative_stands_between_copy_and_terms() -> None:
    assert track("a cat", "ugly, [x:y:0.5]", "bad") == "a cat, ugly, [x:y:0.5], bad"


def test_own_chunk_puts_everything_but_the_copy_after_a_break() -> None:
    assert track("a cat", "ugly", "bad", own_chunk=True) == "a cat BREAK ugly, bad"
    assert track("a cat", "", "", own_chunk=True) == "a cat"


def test_what_is_typed_already_is_not_doubled() -> None:
    assert track("a cat", "a cat, ugly, bad", "bad") == "a cat, ugly, bad"
    assert track("a cat", "a cat BREAK ugly", "bad", own_chunk=True) == "a cat BREAK ugly, bad"
    assert track("a cat", "a category", "bad") == "a cat, a category, bad"
    assert track("a cat", "not bad", "bad") == "a cat, not bad, bad"


def test_a_copy_of_a_longer_prompt_is_not_mistaken_for_this_one() -> None:
    assert track("a cat", "a cats tail", "") == "a cat, a cats tail"


def test_an_interval_is_written_as_prompt_editing() -> None:
    assert on_interval("bad", 0.0, 1.0) == "bad"
    assert on_interval("bad", 0.12, 1.0) == "[:bad:0.12]"
    assert on_interval("bad", 0.0, 0.8) == "[bad::0.8]"
    assert on_interval("bad", 0.25, 0.75) == "[:[bad::0.75]:0.25]"
    assert on_interval("bad", 0.5, 0.5) == ""
    assert on_interval("", 0.1, 0.9) == ""


def test_a_hires_pass_counts_its_fractions_from_one() -> None:
    assert on_interval("bad", 0.12, 1.0, hires=True) == "[:bad:1.12]"
    assert on_interval("bad", 0.0, 0.5, hires=True) == "[bad::1.5]"


def test_an_interval_always_has_a_point_for_without_one_it_is_a_step() -> None:
    assert on_interval("bad", 0.00001, 1.0) == "[:bad:0.0]"
    assert on_interval("bad", 0.99999, 1.0) == "[:bad:1.0]"


def test_the_config_decides_what_is_built() -> None:
    config = Config(enabled=True, terms=" bad ", placement="own chunk", start=0.1, hires="off")
    assert tracked_text(config, "a cat", "ugly") == "a cat BREAK ugly[:, bad:0.1]"
    assert tracked_text(config, "a cat", "") == "a cat[: BREAK bad:0.1]"
    assert tracked_text(config, "a cat", "ugly", hires=True) == "ugly"
    assert tracked_text(Config(), "a cat", "ugly") == "ugly"


MARKS = ["(", ")", "[", "]", ":", "|", "<lora:", "<", ">", "\\", ",", " ", "\n", "-1", "0.5", ":1.2", "#", "{", "}"]
WORDS = ["AND", "AND_PERP", "BREAK", "cat", "дом", "猫", "e\u0301", "\u0000", "\ud800", "🐈", "__x__", "bad"]
PIECES = st.sampled_from([*MARKS, *WORDS])
TEXT = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=40).map("".join))


def late(tail: str) -> str:
    return on_interval(tail, 0.1, 0.9)


@settings(max_examples=10_000, deadline=None)
@given(TEXT, TEXT, TEXT, st.booleans(), st.booleans())
@example("a", "a, a", "a", False, False)
@example("a", "b, a BREAK b", "b", True, False)
def test_applying_it_twice_changes_nothing(
    positive: str, negative: str, terms: str, own_chunk: bool, edited: bool
) -> None:
    edit = late if edited else str
    once = track(positive, negative, terms, own_chunk=own_chunk, edit=edit)
    assert track(positive, once, terms, own_chunk=own_chunk, edit=edit) == once


def test_outside_their_interval_the_terms_leave_the_copy_alone() -> None:
    text = tracked_text(Config(enabled=True, terms="bad", start=0.25, stop=0.75), "a cat", "")
    assert schedule(text, 20) == ((5, "a cat"), (15, "a cat, bad"), (20, "a cat"))


@settings(max_examples=2_000, deadline=None)
@given(TEXT, TEXT, TEXT)
def test_the_negative_begins_with_the_copy_and_keeps_the_users_words(positive: str, negative: str, terms: str) -> None:
    built = track(positive, negative, terms)
    assert built.startswith(copied(positive)) or not copied(positive)
    if not copied(positive):
        assert built == negative


HOSTILE = [
    "<a:",
    "(",
    "(:-1)",
    "a AND ",
    "[",
    ":",
    " ",
    "AND_",
    "<a:>",
    "\\",
    "- ",
    "(a:-1",
    "[[a|",
    "a:",
    "BREAK ",
    "(x:-1)(",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_takes_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        started = time.process_time()
        track(text, text, "bad")
        return time.process_time() - started

    seconds(1_000)
    short = max(min(seconds(50_000) for _ in range(3)), 5e-3)
    assert min(seconds(400_000) for _ in range(3)) < 40 * short  # linear is 8 times, quadratic 64
