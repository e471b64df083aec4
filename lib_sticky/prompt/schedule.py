"""A1111's prompt editing and alternation: which text a prompt stands for until which step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Union

_TOKEN = re.compile(r"\\.|[\\()\[\]:|]|[^\\()\[\]:|]+")
_WHEN = re.compile(r"\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*")
_OPENS = ("(", "[")
_CLOSES = {")": "(", "]": "["}
_SEPARATORS = (":", "|")
_UNREADABLE = ("|", "\\")


@dataclass(frozen=True)
class _Edit:
    """`[before:after:when]`; `when` in steps, the last on which `before` still stands."""

    before: list[_Part]
    after: list[_Part]
    when: int


@dataclass(frozen=True)
class _Turns:
    """`[a|b|…]`: one option a step, in turn."""

    options: list[list[_Part]]


_Part = Union[str, "list[_Part]", _Edit, _Turns]


@dataclass
class _Frame:
    """An open bracket: what has followed it, cut at the separators `:` and `|`."""

    opener: str
    segments: list[list[_Part]] = field(default_factory=lambda: [[]])
    separators: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class _Clock:
    """How many steps the pass has, and from which step on its prompt counts them (0, or past the first pass)."""

    steps: int
    base_steps: int | None

    def step(self, written: str) -> int:
        """The step that `written` names: a fraction of the steps when it has a point, else a number of steps."""
        if "." in written:
            value = (float(written) - (0.0 if self.base_steps is None else 1.0)) * self.steps
        else:
            value = float(written) - (self.base_steps or 0)
        return int(max(-1.0, min(value, self.steps)))


def schedule(text: str, steps: int, *, hires_base_steps: int | None = None) -> tuple[tuple[int, str], ...]:
    """(last step, text) of each stretch of `steps` on which the prompt `text` stands for one and the same text.

    Steps count from 1. `[a:b:when]`, `[b:when]`, `[a::when]` and `[a|b]` nest; emphasis and escapes stay as written;
    brackets without a partner, or with something else between them, are text. For a hires pass, `hires_base_steps` is
    the number of steps of the first: fractions then count from 1 and whole numbers from there.
    Neighbouring stretches may have equal texts: A1111 encodes each of them, and their mean enters its emphasis.

    A `|` outside of an alternation and a lone backslash make the whole of `text` literal, as in A1111
    (modules/prompt_parser.py, get_learned_conditioning_prompt_schedules). Where brackets without partners stand next to
    an edit, A1111's parser now takes the edit for text and now does not, from one start of Python to the next; here the
    edit always counts. Time is linear in text times stretches.
    """
    clock = _Clock(steps, hires_base_steps)
    parts = _parse(text, clock)
    if parts is None:
        return ((steps, text),)
    return tuple((step, _text_at(parts, step)) for step in sorted(_boundaries(parts, steps)))


def _parse(text: str, clock: _Clock) -> list[_Part] | None:
    """The parts of `text`, or None when A1111's grammar has no reading of it."""
    root: list[_Part] = []
    frames: list[_Frame] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in _OPENS:
            frames.append(_Frame(token))
        elif token in _CLOSES:
            closed = _closed(frames[-1], token, clock) if frames else None
            if closed is not None:
                frames.pop()
            elif not _spill(frames, root):
                return None
            _here(frames, root).append(token if closed is None else closed)
        elif frames and token in _SEPARATORS:
            frames[-1].separators.append(token)
            frames[-1].segments.append([])
        elif token in _UNREADABLE:
            return None
        else:
            _here(frames, root).append(token)
    return root if _spill(frames, root) else None


def _here(frames: list[_Frame], root: list[_Part]) -> list[_Part]:
    return frames[-1].segments[-1] if frames else root


def _spill(frames: list[_Frame], root: list[_Part]) -> bool:
    """Move `frames`, found to have no partner, to `root` as text; False when one holds a `|`, which is no text."""
    for frame in frames:
        if "|" in frame.separators:
            return False
        root.append(frame.opener)
        root.append(_joined(frame))
    frames.clear()
    return True


def _joined(frame: _Frame) -> list[_Part]:
    joined = list(frame.segments[0])
    for separator, segment in zip(frame.separators, frame.segments[1:], strict=True):
        joined.append(separator)
        joined.append(segment)
    return joined


def _closed(frame: _Frame, closer: str, clock: _Clock) -> _Part | None:
    """What `frame` becomes when `closer` ends it, or None when the two make no pair that means something."""
    colons, bars = frame.separators.count(":"), frame.separators.count("|")
    if frame.opener != _CLOSES[closer] or (colons and bars):
        return None
    if colons <= (1 if closer == ")" else 0) and not bars:
        return [frame.opener, _joined(frame), closer]
    if closer == ")":
        return None
    return _Turns(frame.segments) if bars else _edit(frame, clock)


def _edit(frame: _Frame, clock: _Clock) -> _Edit | None:
    *texts, last = frame.segments
    if len(texts) > 2 or not all(isinstance(part, str) for part in last):
        return None
    written = _WHEN.fullmatch("".join(part for part in last if isinstance(part, str)))
    if written is None:
        return None
    return _Edit(texts[0] if len(texts) == 2 else [], texts[-1], clock.step(written[1]))


def _boundaries(parts: list[_Part], steps: int) -> set[int]:
    """The last steps of all stretches, the last step of all among them."""
    found = {steps}
    for part in _walk(parts):
        if isinstance(part, _Turns):
            found.update(range(1, steps + 1))
        elif isinstance(part, _Edit) and part.when >= 1:
            found.add(part.when)
    return found


def _walk(parts: list[_Part]) -> Iterator[_Part]:
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, _Edit):
            waiting.extend((part.before, part.after))
        elif isinstance(part, _Turns):
            waiting.extend(part.options)


def _text_at(parts: list[_Part], step: int) -> str:
    texts: list[str] = []
    waiting: list[_Part] = [parts]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, _Edit):
            waiting.append(part.before if step <= part.when else part.after)
        elif isinstance(part, _Turns):
            waiting.append(part.options[(step - 1) % len(part.options)])
        else:
            waiting.extend(reversed(part))
    return "".join(texts)
