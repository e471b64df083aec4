"""What the merge tab says: methods, plans and jobs as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

from lib_sticky.api.merge_jobs import State
from lib_sticky.api.merge_orders import Facts
from lib_sticky.merge.methods import MergeMethod
from lib_sticky.webui.words import duration, lines, progress, queue, warned

SHOWN = 8


def method_words(method: MergeMethod) -> str:
    """A method's formula, what it does, what it takes and who says so."""
    inputs = ", ".join(item.name.upper() if len(item.name) == 1 else item.name for item in method.inputs)
    many = any(item.many for item in method.inputs)
    takes = "any number of models" if many else f"{inputs}: the models in the order in which they are picked"
    if method.inputs[0].space == "delta":
        takes += ", as changes from the base model"
    return (
        f"<div class='sticky-preview'><div class='sticky-formula'>{html.escape(method.formula)}</div>"
        f"<div>{html.escape(method.help)}</div><div class='sticky-count'>Takes {html.escape(takes)}. "
        f"Source: {html.escape(method.source)}.</div></div>"
    )


def facts_words(facts: Facts, name: str) -> str:
    """A plan: size, room, time, then everything that the user should know or decide."""
    rows = (
        ("Output", f"{name}: {facts.architecture}, {facts.tensors} tensors"),
        ("Disk", f"{_size(facts.output_bytes)} to write, {_size(facts.free_bytes)} free"),
        ("Reads", _size(facts.read_bytes)),
        ("RAM", f"about {_size(facts.memory_bytes)} of buffers"),
        ("Time", f"about {duration(facts.seconds)} on a fast disk"),
        *(("Differs", f"{name}, {number} keys") for name, number in facts.differences.items()),
    )
    table = "".join(f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>" for key, value in rows)
    notes = (note.removeprefix("note: ") for note in facts.notes)
    verdict = "Ready to merge." if facts.ready else "Not possible as it is:"
    return (
        f"<div class='sticky-preview'><table class='sticky-plan'>{table}</table>"
        f"<div><b>{verdict}</b></div>{warned((*facts.refusals, *facts.problems))}{lines('sticky-count', notes)}</div>"
    )


def jobs_words(states: Sequence[State], unsaved: str) -> str:
    """The queue, the newest job first."""
    finished = sum(state.state == "done" for state in states)
    active = any(state.active for state in states)
    body = "".join(map(_job, reversed(states[-SHOWN:]))) or "<div class='sticky-count'>No merge yet.</div>"
    if unsaved:
        body += f"<div class='sticky-count'>Can still be saved: {html.escape(unsaved)}</div>"
    return queue(body, active, f"{finished}:{unsaved}")


def _job(state: State) -> str:
    told = f"<b>{html.escape(state.name)}</b> {html.escape(state.state)}"
    if state.state == "running" and state.bytes_total:
        left = "" if state.seconds_left is None else f", {duration(state.seconds_left)} left"
        told += (
            f"{progress(state.bytes_done, state.bytes_total)}"
            f"<div class='sticky-count'>{_size(state.bytes_done)} of {_size(state.bytes_total)}{left}</div>"
        )
    elif state.state == "done":
        told += (
            f"<div class='sticky-count'>{html.escape(state.message)}; {duration(state.seconds or 0)}, "
            f"sha256 {state.sha256[:10]}</div>"
        )
    elif state.state == "failed":
        told += warned([state.message])
    else:
        told += f"<div class='sticky-count'>{html.escape(state.message)}</div>"
    return f"<div class='sticky-job sticky-job-{state.state}'>{told}</div>"


def _size(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
