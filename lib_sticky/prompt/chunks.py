"""How a prompt falls into CLIP's chunks of 75 tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

CHUNK = 75
_BREAK = re.compile(r"\bBREAK\b")


@dataclass(frozen=True)
class ChunkCount:
    """Tokens (start and end marks not counted) and chunks of one text."""

    tokens: int
    chunks: int


def count_chunks(text: str, count_tokens: Callable[[str], int]) -> ChunkCount:
    """Tokens and chunks of `text`, where `count_tokens` counts those of a piece without BREAK.

    An upper bound of one chunk may be added by A1111's comma backtracking, which depends on where commas fall.
    """
    counts = [count_tokens(piece.strip()) for piece in _BREAK.split(text)]
    return ChunkCount(sum(counts), sum(max(1, -(-count // CHUNK)) for count in counts))
