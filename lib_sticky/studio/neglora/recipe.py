"""Which wrong pictures are made: every word once emphasised at every CFG scale, as often as asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lib_sticky.studio.job import Job


@dataclass(frozen=True)
class Recipe:
    """All settings of a set of wrong pictures; `base` has what its jobs share, its first seed among them.

    Source: M. Woolf's notebook, 13 words, `(word)++++` = 1.1^4, CFG 8 to 13, one picture each.
    """

    base: Job
    words: tuple[str, ...]
    emphasis: float
    cfgs: tuple[float, ...]
    count: int

    @property
    def pictures(self) -> int:
        """How many there will be."""
        return len(self.words) * len(self.cfgs) * self.count

    def shots(self) -> Iterator[Shot]:
        """Every picture; each has a seed of its own, so that no two begin from the same noise."""
        index = 0
        for word in self.words:
            for cfg in self.cfgs:
                for _ in range(self.count):
                    yield Shot(index, word, cfg, self._prompt(word), self.base.seed + index)
                    index += 1

    def job(self, shot: Shot) -> Job:
        """The job of one picture."""
        return replace(self.base, prompt=shot.prompt, cfg=shot.cfg, seed=shot.seed, batch=1)

    def _prompt(self, chosen: str) -> str:
        words = [f"({word}:{self.emphasis:g})" if word == chosen else word for word in self.words]
        return ", ".join([part for part in (self.base.prompt.strip(),) if part] + words)


@dataclass(frozen=True)
class Shot:
    """One wrong picture: its number from 0, the word that is emphasised, and how it is made."""

    index: int
    word: str
    cfg: float
    prompt: str
    seed: int
