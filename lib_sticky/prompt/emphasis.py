"""A1111's emphasis: `(more)`, `((more still))`, `(exact:1.3)`, `[less]`, escapes and BREAK."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MORE = 1.1
LESS = 1 / 1.1
BREAK = ("BREAK", -1.0)
"""The piece that ends a chunk. Inside of brackets A1111 multiplies its weight, whereupon it is a word like others."""

_TOKEN = re.compile(r"\\[()\[\]\\]|\\|[()\[\]]|:\s*([+-]?[.\d]+)\s*\)|[^\\()\[\]:]+|:")
_BREAK = re.compile(r"\bBREAK\b")
_EXACT_DEPTH = 64
"""So many enclosing brackets are multiplied innermost first, as A1111 does, to the same last bit; those farther out
are multiplied once for all that they enclose, which keeps the time linear."""


@dataclass(frozen=True)
class _Span:
    """A pair of brackets: it multiplies pieces `start` up to `end`, after all spans of a lower `rank`."""

    start: int
    end: int
    factor: float
    rank: int


@dataclass(frozen=True)
class _Link:
    """A span about a piece, the next one outwards, and the product of this factor and all farther out."""

    span: _Span
    outer: _Link | None
    product: float


def emphasis(text: str) -> tuple[tuple[str, float], ...]:
    """(piece, weight) of the prompt `text`, neighbours of equal weight joined; never empty.

    `(x)` multiplies by 1.1, `(x:n)` by n, `[x]` divides by 1.1; round and square brackets may overlap; those left open
    reach to the end; a backslash makes the next bracket a letter. BREAK outside of brackets comes out as `BREAK`.
    A weight that is no number, such as `(x:1.2.3)`, is text; A1111 fails there (modules/prompt_parser.py,
    parse_prompt_attention, which this follows). Time is linear in the length of `text`.
    """
    pieces: list[tuple[str, float]] = []
    rounds: list[_Span] = []
    squares: list[_Span] = []
    open_rounds: list[int] = []
    open_squares: list[int] = []
    for rank, match in enumerate(_TOKEN.finditer(text)):
        token, weight = match.group(), _number(match.group(1))
        if token == "(":
            open_rounds.append(len(pieces))
        elif token == "[":
            open_squares.append(len(pieces))
        elif open_rounds and (token == ")" or weight is not None):
            rounds.append(_Span(open_rounds.pop(), len(pieces), MORE if weight is None else weight, rank))
        elif open_squares and token == "]":
            squares.append(_Span(open_squares.pop(), len(pieces), LESS, rank))
        else:
            pieces.extend(_pieces(token))
    last = len(text)
    rounds.extend(_Span(start, len(pieces), MORE, last) for start in reversed(open_rounds))
    squares.extend(_Span(start, len(pieces), LESS, last + 1) for start in reversed(open_squares))
    links = zip(_innermost(rounds, len(pieces)), _innermost(squares, len(pieces)), strict=True)
    weighted = [(piece, _weight(own, *pair)) for (piece, own), pair in zip(pieces, links, strict=True)]
    return tuple(_joined(weighted)) or (("", 1.0),)


def _number(written: str | None) -> float | None:
    try:
        return None if written is None else float(written)
    except ValueError:
        return None


def _pieces(token: str) -> Iterator[tuple[str, float]]:
    """`token` as text, cut at each BREAK, which takes the white space about it along."""
    if token.startswith("\\"):
        yield token[1:], 1.0
        return
    position = 0
    for match in _BREAK.finditer(token):
        before = token[position : match.start()].rstrip()
        yield before.lstrip() if position else before, 1.0
        yield BREAK
        position = match.end()
    yield token[position:].lstrip() if position else token, 1.0


def _innermost(spans: list[_Span], count: int) -> list[_Link | None]:
    """For each of `count` pieces the innermost of `spans`, which nest and come in the order in which they closed."""
    found: list[_Link | None] = [None] * count
    waiting = [span for span in spans if span.start < span.end]
    link: _Link | None = None
    for index in range(count - 1, -1, -1):
        while link is not None and link.span.start > index:
            link = link.outer
        while waiting and waiting[-1].end > index:
            span = waiting.pop()
            link = _Link(span, link, span.factor * (1.0 if link is None else link.product))
        found[index] = link
    return found


def _weight(own: float, first: _Link | None, second: _Link | None) -> float:
    """`own` multiplied by all factors of the two chains, those that closed first coming first."""
    for _ in range(_EXACT_DEPTH):
        if first is None or (second is not None and second.span.rank < first.span.rank):
            first, second = second, first
        if first is None:
            return own
        own *= first.span.factor
        first = first.outer
    for link in (first, second):
        own *= 1.0 if link is None else link.product
    return own


def _joined(weighted: list[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    run: list[str] = []
    for index, (piece, weight) in enumerate(weighted):
        run.append(piece)
        if index + 1 == len(weighted) or weighted[index + 1][1] != weight:
            yield "".join(run), weight
            run.clear()
