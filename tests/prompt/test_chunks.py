"""Chunks of 75 tokens, brackets, packs and warnings."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lib_sticky.config import Config
from lib_sticky.prompt.brackets import is_balanced, pairs
from lib_sticky.prompt.branches import Branch, branches
from lib_sticky.prompt.chunks import ChunkCount, count_chunks
from lib_sticky.prompt.packs import PACKS, merged
from lib_sticky.prompt.warnings import warnings


def words(text: str) -> int:
    return len(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ChunkCount(0, 1)),
        ("a " * 75, ChunkCount(75, 1)),
        ("a " * 76, ChunkCount(76, 2)),
        ("a BREAK b", ChunkCount(2, 2)),
        ("a " * 80 + "BREAK " + "b " * 10, ChunkCount(90, 3)),
        ("a BREAKER b", ChunkCount(3, 1)),
    ],
)
def test_chunks(text: str, expected: ChunkCount) -> None:
    assert count_chunks(text, words) == expected


def test_brackets() -> None:
    assert pairs("(a [b] c)") == ([(3, 5), (0, 8)], True)
    assert is_balanced(r"a \( \] [b]")
    assert not is_balanced("(a [b) c]")
    assert not is_balanced("a)")


def test_branches_keep_their_weights() -> None:
    assert branches("a cat :1.2 AND dog:.5 AND bird") == [
        Branch("a cat", 1.2),
        Branch("dog", 0.5),
        Branch("bird", None),
    ]


def test_a_pack_adds_only_what_is_missing() -> None:
    assert merged("Blurry, mine,", "general") == "Blurry, mine, awful, bad, distorted, artifacting"
    assert merged("", "text") == PACKS["text"]
    assert merged(merged("", "hands"), "hands") == PACKS["hands"]


@dataclass(frozen=True)
class Asked:
    positive: tuple[str, ...] = ("a cat",)
    cfg_scale: float = 20.0
    distilled: bool = False
    skips: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("config", "asked", "words_of_it"),
    [
        (Config(), Asked(positive=("", ",")), "nothing to track"),
        (Config(terms=" "), Asked(), "no undesirable terms"),
        (Config(start=0.5, stop=0.5), Asked(), "never in the negative"),
        (Config(terms="(bad"), Asked(), "brackets of the undesirable terms"),
        (Config(), Asked(positive=("a cat", "a (dog")), "brackets of the prompt"),
        (Config(), Asked(cfg_scale=1), "CFG is 1"),
        (Config(), Asked(distilled=True), "distilled"),
        (Config(), Asked(skips=("Negative Guidance minimum sigma is 3",)), "minimum sigma is 3"),
    ],
)
def test_warnings_say_why(config: Config, asked: Asked, words_of_it: str) -> None:
    assert any(words_of_it in sentence for sentence in warnings(config, asked, asked))


def test_no_warning_when_all_is_well() -> None:
    assert warnings(Config(), Asked(), Asked()) == []
