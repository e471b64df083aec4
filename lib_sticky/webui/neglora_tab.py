"""The tab "Negative LoRA": make wrong pictures, train a LoRA on them, compare five ways of using it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lib_sticky.api import neglora_orders as orders
from lib_sticky.api import wrong_orders
from lib_sticky.api.neglora_orders import Compare, Shelf, Train, comparison, training
from lib_sticky.api.programs import ROOT, Program, Programs
from lib_sticky.api.wrong_jobs import WrongPictures
from lib_sticky.config import ConfigError
from lib_sticky.webui import neglora_words as words
from lib_sticky.webui.order_form import body, controls
from lib_sticky.webui.quiet import QUIET
from lib_sticky.webui.words import refused, said

TITLE = "Negative LoRA"
TAB_ID = "sticky_neglora"
_MAKE = (
    ("name", "caption"), ("pack", "emphasis"), ("words",), ("cfg_from", "cfg_to", "cfg_step"), ("count", "seed"),
    ("prompt", "negative"), ("sampler", "steps"), ("width", "height"),
)  # fmt: skip
_TRAIN = (
    ("name", "sample_prompt"), ("rank", "alpha"), ("steps", "batch"), ("rate", "seed", "size"),
    ("text_encoder", "bf16", "checkpointing"),
)  # fmt: skip
_COMPARE = (("word", "strength"), ("pictures", "seed"), ("cfg", "steps"))
_ABOUT = (
    "1. The model makes pictures of what is wrong. 2. A LoRA learns them, in a program of its own beside this one, "
    "which needs memory of its own. 3. Five ways of using it are compared on the same seeds. What helps is not known "
    "before: docs/CLAIMS.md has what was measured on the model that ships."
)


def elem_id(name: str) -> str:
    return f"{TAB_ID}_{name}"


@dataclass(frozen=True)
class _Desk:
    """What the handlers work with."""

    wrong: WrongPictures
    programs: Programs
    shelf: Shelf

    def queue(self) -> str:
        return words.jobs_words(self.wrong.states(), self.programs.states())

    def make(self, *values: Any) -> tuple[str, str]:
        try:
            form = body(_names(_MAKE), values, wrong_orders.OPTIONS, wrong_orders.DEFAULTS)
            self.wrong.submit(wrong_orders.read_order(form, self.wrong.painter))
        except ConfigError as error:
            return self.queue(), refused(str(error))
        return self.queue(), said("In the queue. The same settings go on where they stopped.")

    def start(self, program: Callable[..., Program]) -> Callable[..., tuple[str, str]]:
        def start(*values: Any) -> tuple[str, str]:
            try:
                order = program(values)
                self.programs.submit(order)
            except ConfigError as error:
                return self.queue(), refused(str(error))
            return self.queue(), said(f"In the queue: {order.command}")

        return start

    def show(self, program: Callable[..., Program]) -> Callable[..., str]:
        def show(*values: Any) -> str:
            try:
                return words.command_words(program(values).command, ROOT)
            except ConfigError as error:
                return refused(str(error))

        return show

    def training(self, values: Sequence[Any]) -> Program:
        form = body(("set", *_names(_TRAIN)), values, orders.TRAIN, _defaults(Train))
        return training(form, self.shelf, self.wrong.painter.model().path)

    def comparison(self, values: Sequence[Any]) -> Program:
        form = body(("set", "name", "prompts", *_names(_COMPARE)), values, orders.COMPARE, _defaults(Compare))
        form["prompts"] = [line.strip() for line in form["prompts"].splitlines() if line.strip()]
        return comparison(form, self.shelf, self.wrong.painter.model().path)

    def cancel(self) -> str:
        for jobs in (self.wrong, self.programs):
            for job in jobs.states():
                if job.active:
                    jobs.cancel(job.id)
        return self.queue()

    def refresh(self, chosen: str | None) -> tuple[Any, str]:
        sets = self.wrong.sets()
        name = chosen if chosen in sets else (sets or [None])[-1]
        return gr.update(choices=sets, value=name), self.look(name)

    def look(self, chosen: str | None) -> str:
        known = chosen is not None and chosen in self.wrong.sets()
        return words.set_words(self.shelf.sets / str(chosen)) if known else said("No set is chosen.")


def build(wrong: WrongPictures, programs: Programs, shelf: Shelf) -> gr.Blocks:
    """The tab's page."""
    desk = _Desk(wrong, programs, shelf)
    with gr.Blocks(analytics_enabled=False) as page:
        gr.HTML(said(_ABOUT), elem_id=elem_id("about"))
        with gr.Row(elem_id=elem_id("page")):
            with gr.Column(scale=3):
                forms = _forms(wrong)
            with gr.Column(scale=2):
                sets = wrong.sets()
                chosen = gr.Dropdown(
                    sets,
                    value=(sets or [None])[-1],
                    label="Set",
                    elem_id=elem_id("set"),
                    info="To train and compare on.",
                )
                if programs.cannot_run():
                    gr.HTML(refused(f"Train and Compare: {programs.cannot_run()}"), elem_id=elem_id("cannot_run"))
                told = gr.HTML("", elem_id=elem_id("said"))
                queue = gr.HTML(desk.queue(), elem_id=elem_id("queue"))
                with gr.Row(elem_classes=["sticky-row"]):
                    cancel = gr.Button("Cancel", variant="stop", size="sm", elem_id=elem_id("cancel"))
                    refresh = gr.Button("Refresh", size="sm", elem_id=elem_id("refresh"))
                    poll = gr.Button("Poll", elem_id=elem_id("poll"), elem_classes=["sticky-hidden"])
                look = gr.HTML(desk.look(chosen.value), elem_id=elem_id("look"))
        _bind(desk, forms, chosen, queue, told)
        cancel.click(fn=desk.cancel, inputs=[], outputs=[queue], **QUIET)
        refresh.click(fn=desk.refresh, inputs=[chosen], outputs=[chosen, look], **QUIET)
        poll.click(fn=desk.queue, inputs=[], outputs=[queue], **QUIET)
        chosen.change(fn=desk.look, inputs=[chosen], outputs=[look], **QUIET)
    for block in page.blocks.values():
        # A default that was saved once would outlive a change of it.
        block.do_not_save_to_config = True  # type: ignore[attr-defined]
    return page


@dataclass(frozen=True)
class _Forms:
    """The components of the three parts in the order of their handlers' values, and the buttons."""

    make: Sequence[Any]
    train: Sequence[Any]
    compare: Sequence[Any]
    buttons: Mapping[str, Any]


def _forms(wrong: WrongPictures) -> _Forms:
    buttons: dict[str, Any] = {}
    with gr.Accordion("1. Wrong pictures", open=True, elem_id=elem_id("make_part")):
        defaults, choices = wrong_orders.DEFAULTS, {"sampler": wrong.painter.samplers()}
        make = controls(_MAKE, wrong_orders.OPTIONS, defaults, lambda name: elem_id(f"make_{name}"), choices)
        buttons["make"] = gr.Button("Make pictures", variant="primary", elem_id=elem_id("make"))
    with gr.Accordion("2. Train", open=False, elem_id=elem_id("train_part")):
        train = controls(_TRAIN, orders.TRAIN, _defaults(Train), lambda name: elem_id(f"train_{name}"), {})
        with gr.Row(elem_classes=["sticky-row"]):
            buttons["train"] = gr.Button("Train", variant="primary", elem_id=elem_id("train"))
            buttons["train_command"] = gr.Button("Show the command", elem_id=elem_id("train_command"))
    with gr.Accordion("3. Compare", open=False, elem_id=elem_id("compare_part")):
        lora = gr.Textbox("wrong", label="LoRA", info="That was trained on the set.", elem_id=elem_id("compare_name"))
        prompts = gr.Textbox("", label="Prompts", lines=3, info="One a line.", elem_id=elem_id("compare_prompts"))
        compare = controls(_COMPARE, orders.COMPARE, _defaults(Compare), lambda name: elem_id(f"compare_{name}"), {})
        with gr.Row(elem_classes=["sticky-row"]):
            buttons["compare"] = gr.Button("Compare", variant="primary", elem_id=elem_id("compare"))
            buttons["compare_command"] = gr.Button("Show the command", elem_id=elem_id("compare_command"))
    return _Forms([*make.values()], [*train.values()], [lora, prompts, *compare.values()], buttons)


def _bind(desk: _Desk, forms: _Forms, chosen: Any, queue: Any, told: Any) -> None:
    forms.buttons["make"].click(fn=desk.make, inputs=[*forms.make], outputs=[queue, told], queue=False)
    for name, program, fields in (("train", desk.training, forms.train), ("compare", desk.comparison, forms.compare)):
        inputs = [chosen, *fields]
        forms.buttons[name].click(fn=desk.start(program), inputs=inputs, outputs=[queue, told], queue=False)
        forms.buttons[f"{name}_command"].click(fn=desk.show(program), inputs=inputs, outputs=[told], queue=False)


def _names(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(name for row in rows for name in row)


def _defaults(order: type[Train] | type[Compare]) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(order)}
