"""The tab "Sticky merge": pick models and a method, look at the plan, merge, watch, try, save."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from lib_sticky.api import merge_unsaved
from lib_sticky.api.merge_history import Merged, history
from lib_sticky.api.merge_jobs import Jobs
from lib_sticky.api.merge_orders import facts_of, require
from lib_sticky.config import ConfigError
from lib_sticky.hosts.checkpoints import Checkpoints, LoadFailed
from lib_sticky.merge import Merge, MergeError
from lib_sticky.webui import merge_controls as controls
from lib_sticky.webui.merge_controls import BlockButtons, Fields, elem_id
from lib_sticky.webui.merge_form import block_settings, offered, order_of, pasted, recipe_of, recipe_text, takes_base
from lib_sticky.webui.merge_presets import NAMES, PRESETS, line, numbers
from lib_sticky.webui.merge_words import facts_words, jobs_words, method_words
from lib_sticky.webui.quiet import QUIET
from lib_sticky.webui.words import refused, said

TITLE = "Sticky merge"
TAB_ID = "sticky_merge"
_START = "Pick models and press Plan: it reads headers only and says what the merge would do."


@dataclass(frozen=True)
class _Desk:
    """What the handlers work with: the form's fields by name, the host's files and the queue."""

    fields: Fields
    checkpoints: Checkpoints
    jobs: Jobs

    @property
    def inputs(self) -> list[Any]:
        return list(self.fields.values())

    def form(self, values: tuple[Any, ...]) -> dict[str, Any]:
        return dict(zip(self.fields, values, strict=True))

    def queue(self) -> str:
        tried = merge_unsaved.current(self.checkpoints)
        return jobs_words(self.jobs.states(), tried.name if tried else "")

    def plan(self, *values: Any) -> str:
        try:
            order = order_of(self.form(values), self.checkpoints)
            return facts_words(facts_of(order, self.checkpoints), order.target.name)
        except ConfigError as error:
            return refused(str(error))

    def start(self, unsaved: bool) -> Callable[..., tuple[str, str]]:
        def start(*values: Any) -> tuple[str, str]:
            try:
                if unsaved and self.checkpoints.cannot_load():
                    raise ConfigError("Load without saving", self.checkpoints.cannot_load())
                order = order_of(self.form(values), self.checkpoints, unsaved=unsaved)
                if unsaved:
                    order.target.parent.mkdir(exist_ok=True)
                facts = facts_of(order, self.checkpoints)
                require(order, facts)
            except ConfigError as error:
                return self.queue(), refused(str(error))
            self.jobs.submit(order)
            return self.queue(), facts_words(facts, order.target.name)

        return start

    def cancel(self, everything: bool) -> Callable[[], str]:
        def cancel() -> str:
            active = [state for state in self.jobs.states() if state.active]
            for state in active if everything else active[:1]:
                self.jobs.cancel(state.id)
            return self.queue()

        return cancel

    def save(self, name: str) -> tuple[str, str]:
        try:
            saved = merge_unsaved.save(name, self.checkpoints)
        except (ConfigError, LoadFailed) as error:
            return self.queue(), refused(str(error))
        return self.queue(), said(f"Saved as {saved.name} and loaded from there.")

    def lists(self) -> list[Any]:
        return [gr.update(choices=choices) for choices in controls.lists(self.checkpoints).values()]

    def recipe(self, *values: Any) -> tuple[Any, str]:
        try:
            return recipe_text(recipe_of({**self.form(values), "use_recipe": False}, self.checkpoints)), ""
        except ConfigError as error:
            return gr.update(), refused(str(error))

    def dropped(self, file: Any) -> tuple[Any, Any, str]:
        try:
            text = Path(getattr(file, "name", file)).read_text(encoding="utf-8")
            names = [node.name for node in pasted(text).nodes() if not isinstance(node, Merge)]
        except (ConfigError, MergeError, OSError, UnicodeDecodeError) as error:
            return gr.update(), gr.update(), refused(str(error))
        return text, True, said(f"A recipe of {len(names)} files. Plan says which of them are missing here.")

    def history(self) -> Any:
        found = history(self.checkpoints)
        return gr.update(choices=[_dated(merged) for merged in found], value=None)

    def past(self, chosen: str | None) -> str:
        found = (merged for merged in history(self.checkpoints) if _dated(merged) == chosen)
        return next((recipe_text(merged.recipe) for merged in found), "")


def _dated(merged: Merged) -> str:
    return f"{merged.name} ({time.strftime('%Y-%m-%d %H:%M', time.localtime(merged.when))})"


def build(checkpoints: Checkpoints, jobs: Jobs, devices: list[str]) -> gr.Blocks:
    """The tab's page. `devices` are those that methods on whole tensors may compute on, the first one by default."""
    with gr.Blocks(analytics_enabled=False) as page:
        with gr.Row(elem_id=elem_id("page")):
            with gr.Column(scale=3):
                fields, groups, about = controls.models_and_method(checkpoints, method_words)
                blocks, block_buttons = controls.block_weights()
                fields.update(blocks)
                fields.update(controls.loras_and_parts(checkpoints))
                recipe, recipe_buttons = _recipe_box()
                fields.update(recipe)
            with gr.Column(scale=2):
                fields.update(controls.output(devices))
                buttons = _buttons(checkpoints)
                plan = gr.HTML(said(_START), elem_id=elem_id("plan"))
                gr.Markdown("### Queue", elem_id=elem_id("queue_title"))
                desk = _Desk(fields, checkpoints, jobs)
                queue = gr.HTML(desk.queue(), elem_id=elem_id("queue"))
                _queue_buttons(desk, queue)
        _bind_method(fields, groups, about)
        _bind_blocks(fields, block_buttons)
        _bind_recipe(desk, recipe_buttons)
        _bind_buttons(desk, buttons, plan, queue)
    for block in page.blocks.values():
        # Labels repeat among methods, and a saved default would outlive a change of the method's own.
        block.do_not_save_to_config = True  # type: ignore[attr-defined]
    return page


@dataclass(frozen=True)
class _Buttons:
    plan: Any
    merge: Any
    attempt: Any
    save: Any


def _buttons(checkpoints: Checkpoints) -> _Buttons:
    with gr.Row(elem_classes=["sticky-row"]):
        plan = gr.Button("Plan", elem_id=elem_id("plan_button"))
        merge = gr.Button("Merge", variant="primary", elem_id=elem_id("merge_button"))
    with gr.Row(elem_classes=["sticky-row"]):
        attempt = gr.Button("Load without saving", elem_id=elem_id("try_button"))
        save = gr.Button("Save that one", elem_id=elem_id("save_button"))
    reason = checkpoints.cannot_load()
    if reason:
        gr.HTML(refused(reason), elem_id=elem_id("cannot_load"))
    pinned = checkpoints.pinned()
    if pinned:
        gr.HTML(said(pinned), elem_id=elem_id("pinned"))
    return _Buttons(plan, merge, attempt, save)


def _bind_buttons(desk: _Desk, buttons: _Buttons, plan: Any, queue: Any) -> None:
    inputs = desk.inputs
    buttons.plan.click(fn=desk.plan, inputs=inputs, outputs=[plan], queue=False)
    buttons.merge.click(fn=desk.start(False), inputs=inputs, outputs=[queue, plan], queue=False)
    buttons.attempt.click(fn=desk.start(True), inputs=inputs, outputs=[queue, plan], queue=False)
    buttons.save.click(fn=desk.save, inputs=[desk.fields["name"]], outputs=[queue, plan], queue=False)


def _queue_buttons(desk: _Desk, queue: Any) -> None:
    """Cancel, refresh, and the hidden button that the page's script presses while a merge runs."""
    with gr.Row(elem_classes=["sticky-row"]):
        cancel = gr.Button("Cancel", variant="stop", size="sm", elem_id=elem_id("cancel"))
        cancel_all = gr.Button("Cancel all", size="sm", elem_id=elem_id("cancel_all"))
        refresh = gr.Button("Refresh lists", size="sm", elem_id=elem_id("refresh"))
        poll = gr.Button("Poll", elem_id=elem_id("poll"), elem_classes=["sticky-hidden"])
    listed = [desk.fields[name] for name in controls.lists(desk.checkpoints)]
    cancel.click(fn=desk.cancel(False), inputs=[], outputs=[queue], **QUIET)
    cancel_all.click(fn=desk.cancel(True), inputs=[], outputs=[queue], **QUIET)
    refresh.click(fn=desk.lists, inputs=[], outputs=listed, **QUIET)
    poll.click(fn=desk.queue, inputs=[], outputs=[queue], **QUIET)


def _bind_method(fields: Fields, groups: Fields, about: Any) -> None:
    def chosen(label: str) -> list[Any]:
        method = offered()[label]
        by_block = block_settings(method)
        based = gr.update(visible=takes_base(method))
        return [
            method_words(method),
            *(gr.update(visible=name == label) for name in groups),
            based,
            based,
            gr.update(choices=by_block, value=by_block[0] if by_block else None),
        ]

    outputs = [about, *groups.values(), fields["base"], fields["strength"], fields["blocks_for"]]
    fields["method"].change(fn=chosen, inputs=[fields["method"]], outputs=outputs, queue=False, show_progress="hidden")


def _bind_blocks(fields: Fields, buttons: BlockButtons) -> None:
    sliders = [fields[f"block_{name}"] for name in NAMES]

    def shaped(name: str) -> list[Any]:
        return [True, line(PRESETS[name]), *PRESETS[name], ""]

    def read(text: str, *now: float) -> list[Any]:
        try:
            return [True, text, *numbers(text), ""]
        except ConfigError as error:
            return [gr.update(), gr.update(), *now, refused(str(error))]

    outputs = [fields["use_blocks"], buttons.line, *sliders, buttons.said]
    buttons.apply.click(fn=shaped, inputs=[buttons.preset], outputs=outputs, queue=False)
    buttons.read.click(fn=read, inputs=[buttons.line, *sliders], outputs=outputs, queue=False)


@dataclass(frozen=True)
class _RecipeButtons:
    past: Any
    read: Any
    dropped: Any
    show: Any
    said: Any


def _recipe_box() -> tuple[Fields, _RecipeButtons]:
    fields: Fields = {}
    with gr.Accordion("Recipe and history", open=False, elem_id=elem_id("recipe_box")):
        with gr.Row(elem_classes=["sticky-row"]):
            past = gr.Dropdown([], label="Merged before", elem_id=elem_id("past"), scale=3)
            read = gr.Button("Read history", size="sm", elem_id=elem_id("history"), scale=1)
        dropped = gr.File(label="Drop a .json or .mecha recipe here", file_types=[".json", ".mecha"],
                          elem_id=elem_id("recipe_file"), height=110)  # fmt: skip
        fields["recipe"] = gr.Textbox("", label="Recipe", lines=6, max_lines=20, elem_id=elem_id("recipe"),
                                      info="JSON of this tool, or the text of a .mecha file.")  # fmt: skip
        with gr.Row(elem_classes=["sticky-row"]):
            fields["use_recipe"] = gr.Checkbox(
                False, label="Merge this recipe, not the settings above", elem_id=elem_id("use_recipe")
            )
            show = gr.Button("Show the settings' recipe", size="sm", elem_id=elem_id("recipe_show"))
        told = gr.HTML("", elem_id=elem_id("recipe_said"))
    return fields, _RecipeButtons(past, read, dropped, show, told)


def _bind_recipe(desk: _Desk, buttons: _RecipeButtons) -> None:
    box = desk.fields["recipe"]
    buttons.read.click(fn=desk.history, inputs=[], outputs=[buttons.past], queue=False)
    buttons.past.change(fn=desk.past, inputs=[buttons.past], outputs=[box], queue=False)
    buttons.dropped.upload(
        fn=desk.dropped, inputs=[buttons.dropped], outputs=[box, desk.fields["use_recipe"], buttons.said], queue=False
    )
    buttons.show.click(fn=desk.recipe, inputs=desk.inputs, outputs=[box, buttons.said], queue=False)
