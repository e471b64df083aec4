"""The tab "Untitled": pictures with no prompt on many seeds, votes on them, and what they come to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lib_sticky.api import untitled_report
from lib_sticky.api.untitled_orders import DEFAULTS, OPTIONS, read_order
from lib_sticky.api.untitled_results import everywhere, results, taste
from lib_sticky.api.untitled_routes import read_vote
from lib_sticky.api.untitled_runs import Run, Runs
from lib_sticky.config import ConfigError
from lib_sticky.hosts.painter import Sender
from lib_sticky.presets import UNTITLED
from lib_sticky.votes import Vote, as_csv
from lib_sticky.webui import untitled_words as words
from lib_sticky.webui.order_form import body, controls
from lib_sticky.webui.quiet import QUIET
from lib_sticky.webui.words import refused, said

TITLE = "Untitled"
TAB_ID = "sticky_untitled"
LATEST = "the latest"
_ORDERS = (words.BY_PRESET, words.BY_SEED, words.BY_TASTE)
_ROWS = (("null",), ("sampler", "steps", "cfg"), ("width", "height"), ("seeds", "seed", "batch"))


def elem_id(name: str) -> str:
    return f"{TAB_ID}_{name}"


@dataclass(frozen=True)
class _Desk:
    """What the handlers work with. `view` of a handler: the run's name, the order, the page, blurred, names seen."""

    runs: Runs

    def queue(self) -> str:
        return words.runs_words(self.runs.states())

    def start(self, *values: Any) -> tuple[str, str, Any]:
        try:
            run_id = self.runs.submit(read_order(_body(values), self.runs.painter))
        except ConfigError as error:
            return self.queue(), refused(str(error)), gr.update()
        states = self.runs.states()
        names = [LATEST, *(run.name for run in reversed(states))]
        begun = next(run.name for run in states if run.id == run_id)
        return self.queue(), said(f"{begun} is in the queue."), gr.update(choices=names, value=LATEST)

    def cancel(self) -> str:
        active = [run for run in self.runs.states() if run.active]
        for run in active[:1]:
            self.runs.cancel(run.id)
        return self.queue()

    def show(self, *view: Any) -> tuple[str, str]:
        run = self._run(view[0])
        if run is None:
            return "", ""
        try:
            return self._shown(run, self.runs.votes.all(), view)
        except ConfigError as error:
            return (self._shown(run, [], view)[0], refused(str(error)))

    def act(self, text: str, *view: Any) -> tuple[str, Any, Any, list[str]]:
        """Do what the page's script asks for: votes, and one picture shown large. Gives tables, picture, infotext."""
        seen, told, infotext, run = list(view[4]), gr.update(), gr.update(), self._run(view[0])
        if run is None:
            return refused("There is no run yet."), told, infotext, seen
        try:
            for each in _acts(text):
                if "show" in each:
                    picture = next((one for one in run.pictures if words.name_of(one) == each["show"]), None)
                    if picture is not None:
                        seen.append(each["show"])
                        told, infotext = words.detail(run, picture), picture.infotext
                else:
                    self.runs.vote(run, *read_vote(each))
            votes = self.runs.votes.all()
        except ConfigError as error:
            return refused(str(error)), told, infotext, seen
        return words.tables(run, results(run, votes), taste(votes)), told, infotext, seen

    def report(self, chosen: str) -> str:
        run = self._run(chosen)
        try:
            if run is None:
                raise ConfigError("run", "there is none yet")
            path = untitled_report.write(run, self.runs.votes.all())
        except (ConfigError, OSError) as error:
            return refused(str(error))
        return words.download("report.html", "text/html", path.read_text(encoding="utf-8"), f"Written to {path}.")

    def export(self) -> str:
        try:
            votes = self.runs.votes.all()
        except ConfigError as error:
            return refused(str(error))
        told = f"{len(votes)} votes, from {self.runs.votes.path}."
        return words.download("votes.csv", "text/csv", as_csv(votes), told)

    def overall(self) -> str:
        try:
            return words.overall(everywhere(self.runs.votes.all()))
        except ConfigError as error:
            return refused(str(error))

    def _run(self, chosen: str | None) -> Run | None:
        states = self.runs.states()
        named = [run for run in states if run.name == chosen]
        begun = [run for run in states if run.pictures or run.state == "running"]
        return (named or begun[-1:] or [None])[0]

    def _shown(self, run: Run, votes: Sequence[Vote], view: Sequence[Any]) -> tuple[str, str]:
        _, order, page, blurred, seen = view
        found, learned = results(run, votes), taste(votes)
        pictures = words.gallery(
            run, found, learned, order=order, page=int(page or 1), blurred=bool(blurred), seen=set(seen)
        )
        return pictures, words.tables(run, found, learned)


def _acts(text: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ConfigError("action", "the page sent something that is no list of actions; reload it")
    return found


def _body(values: Sequence[Any]) -> dict[str, Any]:
    """The form as a request's JSON."""
    form = body(_fields(), values, OPTIONS, DEFAULTS)
    # Gradio lists what was ticked in the order of the clicks.
    return {**form, "presets": [name for name in UNTITLED if name in form["presets"]]}


def _fields() -> tuple[str, ...]:
    return ("presets", *(name for row in _ROWS for name in row))


def build(runs: Runs, sender: Sender) -> gr.Blocks:
    """The tab's page; `sender` takes a picture's settings to where pictures with prompts are made."""
    desk = _Desk(runs)
    with gr.Blocks(analytics_enabled=False) as page:
        with gr.Row(elem_id=elem_id("page")):
            with gr.Column(scale=2):
                fields = _form(runs)
                with gr.Row(elem_classes=["sticky-row"]):
                    start = gr.Button("Make pictures", variant="primary", elem_id=elem_id("start"))
                    cancel = gr.Button("Cancel", variant="stop", elem_id=elem_id("cancel"))
                told = gr.HTML("", elem_id=elem_id("said"))
                queue = gr.HTML(desk.queue(), elem_id=elem_id("queue"))
                _overall(desk)
            with gr.Column(scale=3):
                view, show = _view()
                pictures = gr.HTML("", elem_id=elem_id("gallery"))
                one, infotext = _one(sender)
                tables = gr.HTML("", elem_id=elem_id("tables"))
                report = gr.Button("Write the report page", size="sm", elem_id=elem_id("report"))
                reported = gr.HTML("", elem_id=elem_id("reported"))
        poll, acting, act = _hidden()
        inputs = [fields[name] for name in _fields()]
        start.click(fn=desk.start, inputs=inputs, outputs=[queue, told, view[0]], queue=False)
        cancel.click(fn=desk.cancel, inputs=[], outputs=[queue], queue=False)
        poll.click(fn=desk.queue, inputs=[], outputs=[queue], **QUIET)
        show.click(fn=desk.show, inputs=view, outputs=[pictures, tables], **QUIET)
        act.click(fn=desk.act, inputs=[acting, *view], outputs=[tables, one, infotext, view[4]], **QUIET)
        report.click(fn=desk.report, inputs=[view[0]], outputs=[reported], queue=False)
    for block in page.blocks.values():
        # A default that was saved once would outlive a change of it, and hide a preset that came later.
        block.do_not_save_to_config = True  # type: ignore[attr-defined]
    return page


def _form(runs: Runs) -> dict[str, Any]:
    presets = gr.CheckboxGroup(
        list(UNTITLED), value=list(DEFAULTS["presets"]), label="Presets", elem_id=elem_id("presets"),
        info="U0: no guidance. U1: CFG away from zeros, U2: PAG too. U3: SEG, U4: PAG too. U5: SAG. Every preset "
        "gets the same seeds. Nothing that is typed elsewhere is used or changed.",
    )  # fmt: skip
    rest = controls(_ROWS, OPTIONS, DEFAULTS, elem_id, {"sampler": runs.painter.samplers()})
    return {"presets": presets, **rest}


def _view() -> tuple[list[Any], Any]:
    """What decides which pictures are shown and how, in the order of a handler's `view`; and the button that shows."""
    with gr.Row(elem_classes=["sticky-row"]):
        run = gr.Dropdown([LATEST], value=LATEST, label="Run", elem_id=elem_id("run"))
        order = gr.Dropdown(list(_ORDERS), value=_ORDERS[0], label="Sorted by", elem_id=elem_id("order"))
        number = gr.Number(1, precision=0, label="Page", elem_id=elem_id("page_number"))
        blurred = gr.Checkbox(True, label="Blur pictures until they are clicked", elem_id=elem_id("blur"))
        show = gr.Button("Show", size="sm", elem_id=elem_id("show"))
    return [run, order, number, blurred, gr.State([])], show


def _one(sender: Sender) -> tuple[Any, Any]:
    """The place for one picture, and for its infotext; the page's script adds the prompts of the page and sends it."""
    one = gr.HTML(said("Click a picture to see it and its scores."), elem_id=elem_id("one"))
    with gr.Row(elem_classes=["sticky-row"]):
        gr.Button(f"Send seed to {sender.place}", size="sm", elem_id=elem_id("send"))
        if sender.hires:
            gr.Button(f"Send seed to {sender.place} with hires fix", size="sm", elem_id=elem_id("send_hires"))
    infotext = gr.Textbox("", label="Infotext", lines=3, interactive=False, elem_id=elem_id("infotext"))
    text = gr.Textbox("", label="Text to send", elem_id=elem_id("sent_text"), elem_classes=["sticky-hidden"])
    sent = gr.Button("Send", elem_id=elem_id("sent"), elem_classes=["sticky-hidden"])
    sender.bind(sent, text)
    return one, infotext


def _overall(desk: _Desk) -> None:
    with gr.Accordion("All votes", open=False, elem_id=elem_id("votes")):
        with gr.Row(elem_classes=["sticky-row"]):
            count = gr.Button("Yield by model and preset", size="sm", elem_id=elem_id("overall"))
            export = gr.Button("Export as CSV", size="sm", elem_id=elem_id("export"))
        counted = gr.HTML("", elem_id=elem_id("counted"))
        count.click(fn=desk.overall, inputs=[], outputs=[counted], queue=False)
        export.click(fn=desk.export, inputs=[], outputs=[counted], queue=False)


def _hidden() -> tuple[Any, Any, Any]:
    """What the page's script presses: to ask how far runs are, and to tell what was clicked in the gallery."""
    poll = gr.Button("Poll", elem_id=elem_id("poll"), elem_classes=["sticky-hidden"])
    acting = gr.Textbox("[]", label="Actions", elem_id=elem_id("acting"), elem_classes=["sticky-hidden"])
    act = gr.Button("Act", elem_id=elem_id("act"), elem_classes=["sticky-hidden"])
    return poll, acting, act
