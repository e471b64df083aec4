"""Bracket structure of A1111 prompts: pairs, balance, and spans of negative weight."""

from __future__ import annotations

import re

_MARK = re.compile(r"\\.|[()\[\]]", re.DOTALL)
_NEGATIVE_WEIGHT = re.compile(r":\s*-\s*(?:\d+\.?\d*|\.\d+)\s*\Z")
_CLOSES = {")": "(", "]": "["}


def pairs(text: str) -> tuple[list[tuple[int, int]], bool]:
    """Matching bracket positions in order of closing, and whether every bracket is matched. Backslash escapes count."""
    found: list[tuple[int, int]] = []
    open_marks: list[tuple[str, int]] = []
    balanced = True
    for match in _MARK.finditer(text):
        mark = match.group()
        if mark in "([":
            open_marks.append((mark, match.start()))
        elif mark in _CLOSES:
            if open_marks and open_marks[-1][0] == _CLOSES[mark]:
                found.append((open_marks.pop()[1], match.start()))
            else:
                balanced = False
    return found, balanced and not open_marks


def is_balanced(text: str) -> bool:
    """Whether every round and square bracket of `text` that is not escaped has its partner, properly nested."""
    return pairs(text)[1]


def drop_negative_weights(text: str) -> str:
    """`text` without its spans `(words:-1)`, which NegPip turns round: in a negative they would become positive."""
    doomed = [
        (start, end)
        for start, end in pairs(text)[0]
        if text[start] == "(" and _NEGATIVE_WEIGHT.search(text, _last_colon(text, start, end), end)
    ]
    kept: list[str] = []
    position = 0
    for start, end in sorted(doomed):
        if start < position:
            continue
        kept.append(text[position:start])
        position = end + 1
    kept.append(text[position:])
    return "".join(kept)


def _last_colon(text: str, start: int, end: int) -> int:
    """Where a weight could begin: weights are short, so looking at the last 40 characters keeps the scan linear."""
    found = text.rfind(":", max(start, end - 40), end)
    return end if found < 0 else found


def split_at_commas(text: str) -> list[str]:
    """The parts of `text` between commas that stand in no bracket, without empty ones."""
    spans = pairs(text)[0]
    commas = [place for place, mark in enumerate(text) if mark == "," and not _inside(place, spans)]
    ends = zip([-1, *commas], [*commas, len(text)], strict=True)
    return [part for first, last in ends if (part := text[first + 1 : last].strip())]


def _inside(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(first < place < last for first, last in spans)
