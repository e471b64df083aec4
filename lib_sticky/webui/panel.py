"""The controls of the sticky negative, the same in every host: generated from the config's own fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from itertools import groupby
from typing import Any

import gradio as gr

from lib_sticky.config import DEFAULTS, OPTIONS, STICKY, ConfigError, in_group, parse
from lib_sticky.guidance_fields import UNTITLED as UNTITLED_GROUP
from lib_sticky.guidance_fields import GuidanceFields
from lib_sticky.presets import UNTITLED, Presets
from lib_sticky.prompt.packs import PACKS, merged
from lib_sticky.proof_fields import PROOF

ElemId = Callable[[str], str]
_VERBS = ("Apply", "Save", "Delete")
_WAITING = "The negative that will be used appears here."
SWITCH = "enabled"
_GUIDANCE = tuple(field.name for field in dataclass_fields(GuidanceFields))


@dataclass(frozen=True)
class Panel:
    """The components of one tab's panel; `fields` are those of the config, by name and in its order.

    pasted: where it is said how a pasted infotext of another extension differs. acted: where it is said what acted in
    the last job. more: further arguments of the script.
    """

    fields: dict[str, Any]
    pasted: Any = None
    acted: Any = None
    more: tuple[Any, ...] = ()


def build(
    elem_id: ElemId, switch: Callable[..., Any], presets: Presets, proof: Callable[[], tuple[Any, ...]] = tuple
) -> Panel:
    """Lay the panel out inside the current Blocks.

    `switch(value=, label=, elem_id=)` makes the accordion whose own value is the `enabled` field: the host's
    InputAccordion, or `checkbox_accordion` where there is none. `proof` adds to the group of that name.
    """
    about = OPTIONS[SWITCH]
    with switch(value=DEFAULTS[SWITCH], label=about.label, elem_id=elem_id("enabled")) as enabled:
        fields: dict[str, Any] = {SWITCH: enabled, "terms": _control("terms", elem_id)}
        with gr.Row(elem_classes=["sticky-row"]):
            pack = gr.Dropdown(list(PACKS), value="general", label="Term pack", elem_id=elem_id("pack"), scale=2)
            add = _button("Add the pack's terms", elem_id("pack_add"))
            _button("Set CFG 20, 28 steps", elem_id("cfg20"))
        gr.HTML(_WAITING, elem_id=elem_id("preview"), elem_classes=["sticky-preview"])
        gr.HTML("", elem_id=elem_id("feels"))
        with gr.Row(elem_classes=["sticky-row"]):
            _button("Expand to text and turn off", elem_id("expand"))
        gr.HTML("", elem_id=elem_id("expand_said"))
        for row in (("placement", "hires"), ("start", "stop")):
            with gr.Row(elem_classes=["sticky-row"]):
                fields.update({name: _control(name, elem_id) for name in row})
        preset = _presets_row(elem_id, presets)
    added = _further_groups(elem_id, fields, {PROOF: proof, UNTITLED_GROUP: lambda: _untitled_row(elem_id)})
    pasted = gr.HTML("", elem_id=elem_id("pasted"))
    acted = gr.HTML("", elem_id=elem_id("acted"))
    ordered = {name: fields[name] for name in DEFAULTS}
    add.click(fn=merged, inputs=[fields["terms"], pack], outputs=[fields["terms"]])
    _bind_presets(preset, list(ordered.values()), presets)
    chosen, use = added[UNTITLED_GROUP]
    use.click(fn=_guided, inputs=[chosen], outputs=[ordered[name] for name in _GUIDANCE])
    return Panel(ordered, pasted, acted, added[PROOF])


def fields_of(values: Sequence[Any]) -> dict[str, Any]:
    """The config fields that the values of the panel's components, in their order, stand for."""
    return dict(zip(DEFAULTS, values, strict=True))


def _further_groups(
    elem_id: ElemId, fields: dict[str, Any], additions: Mapping[str, Callable[[], tuple[Any, ...]]]
) -> dict[str, tuple[Any, ...]]:
    """An accordion for each further group of fields, in it a row for each technique; fills `fields`.

    additions: what else stands at a group's end; returned by group.
    """
    added: dict[str, tuple[Any, ...]] = {}
    groups = dict.fromkeys(about.group for about in OPTIONS.values() if about.group != STICKY)
    for group in groups:
        with gr.Accordion(group, open=False, elem_id=elem_id("group_" + group.lower().replace(" ", "_"))):
            for _, names in groupby(in_group(group), lambda name: name.split("_")[0]):
                with gr.Row(elem_classes=["sticky-row"]):
                    fields.update({name: _control(name, elem_id) for name in names})
            if group in additions:
                added[group] = additions[group]()
    return added


def _untitled_row(elem_id: ElemId) -> tuple[Any, ...]:
    """The choice of an untitled preset, and the button that uses it."""
    with gr.Row(elem_classes=["sticky-row"]):
        chosen = gr.Dropdown(list(UNTITLED), value="U3", label="Untitled preset", elem_id=elem_id("untitled_preset"))
        return chosen, _button("Use this preset", elem_id("untitled_use"))


def _guided(name: str) -> list[Any]:
    """The guidance fields of an untitled preset; what else the panel holds stays."""
    return [getattr(UNTITLED[name], field) for field in _GUIDANCE]


def _control(name: str, elem_id: ElemId) -> Any:
    about, default = OPTIONS[name], DEFAULTS[name]
    common: dict[str, Any] = {"label": about.label, "info": about.help, "elem_id": elem_id(name)}
    if isinstance(default, bool):
        return gr.Checkbox(value=default, **common)
    if isinstance(default, float):
        return gr.Slider(about.minimum, about.maximum, value=default, step=about.step, **common)
    if about.choices:
        return gr.Radio(list(about.choices), value=default, **common)
    return gr.Textbox(value=default, lines=about.lines, **common)


def _button(label: str, elem_id: str) -> Any:
    return gr.Button(label, elem_id=elem_id, size="sm", scale=1, min_width=90)


@dataclass(frozen=True)
class _PresetRow:
    name: Any
    apply: Any
    save: Any
    delete: Any
    said: Any


def _presets_row(elem_id: ElemId, presets: Presets) -> _PresetRow:
    with gr.Row(elem_classes=["sticky-row"]):
        name = gr.Dropdown(
            _names(presets), value="Sticky", label="Preset", allow_custom_value=True, elem_id=elem_id("preset"), scale=2
        )
        apply, save, delete = (_button(f"{verb} preset", elem_id(f"preset_{verb.lower()}")) for verb in _VERBS)
    said = gr.HTML("", elem_id=elem_id("preset_said"))
    return _PresetRow(name, apply, save, delete, said)


def _names(presets: Presets) -> list[str]:
    try:
        return list(presets.all())
    except ConfigError:
        return ["Sticky"]


def _bind_presets(row: _PresetRow, fields: list[Any], presets: Presets) -> None:
    def apply(name: str, *now: Any) -> list[Any]:
        try:
            chosen = presets.all()
            if name not in chosen:
                raise ConfigError("preset", f"there is no preset named {name!r}")
        except ConfigError as error:
            return [*now, str(error)]
        return [*(getattr(chosen[name], field) for field in DEFAULTS), ""]

    def save(name: str, *now: Any) -> tuple[Any, str]:
        return change(lambda: presets.save(name, parse(fields_of(now))), f"Saved {name!r}.")

    def delete(name: str) -> tuple[Any, str]:
        return change(lambda: presets.delete(name), f"Deleted {name!r}.")

    def change(do: Callable[[], None], done: str) -> tuple[Any, str]:
        try:
            do()
        except (ConfigError, OSError) as error:
            return gr.update(), str(error)
        return gr.update(choices=_names(presets)), done

    row.apply.click(fn=apply, inputs=[row.name, *fields], outputs=[*fields, row.said])
    row.save.click(fn=save, inputs=[row.name, *fields], outputs=[row.name, row.said])
    row.delete.click(fn=delete, inputs=[row.name], outputs=[row.name, row.said])
