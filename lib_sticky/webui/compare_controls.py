"""The panel's controls for a comparison of the page's own job, and how far it is."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from lib_sticky.api.compare_jobs import Comparisons, Request, State
from lib_sticky.config import ConfigError
from lib_sticky.lab.asked import Asked, read, scales
from lib_sticky.webui.quiet import QUIET

ElemId = Callable[[str], str]
_ABOUT = (
    "The same seeds with an empty negative (A0), the terms alone (A1), sticky (A2), a placebo (A3) and plain CFG of "
    "the same push (A4), from the prompt and settings of this page; its own negative prompt and CFG scale are not "
    "used. Pressing it again goes on where it stopped."
)
_PLAIN = Asked()


@dataclass(frozen=True)
class CompareControls:
    """ticket: the hidden box by which the page's next job is a comparison, an argument of the script."""

    ticket: Any


def build(elem_id: ElemId, jobs: Comparisons, checkpoints: Callable[[], Sequence[str]]) -> CompareControls:
    """Lay the controls out inside the current Blocks; `checkpoints` lists those that may be compared."""
    gr.HTML(_said([_ABOUT]), elem_id=elem_id("compare_about"))
    with gr.Row(elem_classes=["sticky-row"]):
        seeds = gr.Slider(1, 64, value=_PLAIN.seeds, step=1, label="Seeds to compare", elem_id=elem_id("compare_seeds"))
        shown = ", ".join(f"{scale:g}" for scale in _PLAIN.cfg)
        cfg = gr.Textbox(shown, label="CFG scales to compare", elem_id=elem_id("compare_cfg"))
        models = gr.Dropdown(
            list(checkpoints()), value=[], multiselect=True, label="Checkpoints to compare",
            elem_id=elem_id("compare_checkpoints"),
        )  # fmt: skip
    with gr.Row(elem_classes=["sticky-row"]):
        start = gr.Button("Compare", elem_id=elem_id("compare"), size="sm", scale=1, min_width=90)
        cancel = gr.Button("Cancel comparison", elem_id=elem_id("compare_cancel"), size="sm", scale=1, min_width=90)
        poll = gr.Button("Poll", elem_id=elem_id("compare_poll"), elem_classes=["sticky-hidden"])
    ticket: Any = gr.Textbox("", visible=False, label="Comparison to make", elem_id=elem_id("compare_ticket"))
    said = gr.HTML(status(jobs, ""), elem_id=elem_id("compare_said"))
    for each in (seeds, cfg, models, ticket):
        each.do_not_save_to_config = True  # type: ignore[attr-defined]

    def begin(count: float, text: str, names: list[str] | None) -> tuple[str, str]:
        try:
            asked = read({"seeds": count, "cfg": scales(text), "checkpoints": names or []})
        except ConfigError as error:
            return "", _said([str(error)], "sticky-warning")
        job_id = jobs.expect(Request("this page's job", asked))
        return job_id, status(jobs, job_id)

    def stop(job_id: str) -> str:
        jobs.cancel(job_id)
        return status(jobs, job_id)

    # Then the page's script presses Generate, whose job finds the ticket among its arguments.
    start.click(fn=begin, inputs=[seeds, cfg, models], outputs=[ticket, said], **QUIET)
    cancel.click(fn=stop, inputs=[ticket], outputs=[said], **QUIET)
    poll.click(fn=lambda job_id: status(jobs, job_id), inputs=[ticket], outputs=[said], **QUIET)
    return CompareControls(ticket)


def status(jobs: Comparisons, job_id: str) -> str:
    """How far a comparison is, as HTML that the page's script reads too."""
    state = jobs.state(job_id)
    if state is None:
        return _said([])
    words = state.message if state.message.startswith(state.state) else f"{state.state}: {state.message}"
    body = _lines([words], "sticky-warning" if state.state == "failed" else "sticky-count")
    if state.active and state.pictures:
        within = state.step / state.steps if state.steps else 0
        body += (
            f"<progress value='{state.done + min(within, 0.99):.2f}' max='{state.pictures}' aria-label='Progress'>"
            f"</progress>{_lines([f'picture {state.done} of {state.pictures}: {state.making}'])}"
        )
    return _box(body + _links(state), state)


def _links(state: State) -> str:
    if not state.report:
        return _lines([state.folder]) if state.folder else ""
    path = Path(state.folder) / state.report
    link = f"file={quote(path.as_posix())}"
    return (
        f"<div><a href='{html.escape(link, quote=True)}' target='_blank' rel='noopener'>Open the report</a></div>"
        f"{_lines([str(path)])}"
    )


def _box(body: str, state: State) -> str:
    return (
        f"<div class='sticky-preview sticky-compare' data-job='{html.escape(state.id)}' "
        f"data-state='{html.escape(state.state)}'>{body}</div>"
    )


def _said(lines: Sequence[str], kind: str = "sticky-count") -> str:
    return f"<div class='sticky-preview sticky-compare'>{_lines(lines, kind)}</div>" if lines else ""


def _lines(lines: Sequence[str], kind: str = "sticky-count") -> str:
    return "".join(f"<div class='{kind}'>{html.escape(line)}</div>" for line in lines)
