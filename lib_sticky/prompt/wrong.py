"""Which wrong pictures are made: every word once emphasised at every CFG scale, as often as asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CAPTION = "wrong"
"""What the pictures are called, and the prompt under which the LoRA is trained."""
EMPHASIS = 1.46
SCALES = (8.0, 9.0, 10.0, 11.0, 12.0, 13.0)


@dataclass(frozen=True)
class Recipe:
    """A set of wrong pictures. prompt: what stands before the words. seed: of the first picture.

    Source: M. Woolf's notebook, 13 words, `(word)++++` = 1.1^4, CFG 8 to 13, one picture each.
    """

    words: tuple[str, ...]
    emphasis: float = EMPHASIS
    scales: tuple[float, ...] = SCALES
    count: int = 1
    prompt: str = ""
    seed: int = 1

    @property
    def pictures(self) -> int:
        """How many there will be."""
        return len(self.words) * len(self.scales) * self.count

    def shots(self) -> Iterator[Shot]:
        """Every picture; each has a seed of its own, so that no two begin from the same noise."""
        index = 0
        for word in self.words:
            for scale in self.scales:
                for _ in range(self.count):
                    yield Shot(index, word, scale, self._prompt(word), self.seed + index)
                    index += 1

    def settings(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {
            "words": list(self.words), "emphasis": self.emphasis, "cfg": list(self.scales), "count": self.count,
            "prompt": self.prompt, "seed": self.seed,
        }  # fmt: skip

    def _prompt(self, chosen: str) -> str:
        words = [f"({word}:{self.emphasis:g})" if word == chosen else word for word in self.words]
        return ", ".join([part for part in (self.prompt.strip(),) if part] + words)


@dataclass(frozen=True)
class Shot:
    """One wrong picture: its number from 0, the word that is emphasised, and how it is made."""

    index: int
    word: str
    cfg: float
    prompt: str
    seed: int


def words_in(text: str) -> tuple[str, ...]:
    """The words of a comma-separated list, each once."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
