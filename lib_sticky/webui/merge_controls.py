"""The merge tab's controls by name. Those of the methods are generated from the methods' own signatures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lib_sticky.hosts.checkpoints import Checkpoints
from lib_sticky.merge.methods import Choice, MergeMethod, Parameter, Range
from lib_sticky.webui.merge_form import (
    AS_ALL,
    AS_INPUT,
    FIRST,
    FORMATS,
    MERGED,
    NONE,
    PARTS,
    block_settings,
    offered,
    setting,
)
from lib_sticky.webui.merge_presets import NAMES, PRESETS

Fields = dict[str, Any]
WIDEST_SLIDER = 10_000
_ROW = ["sticky-row"]


def elem_id(name: str) -> str:
    return f"sticky_merge_{name}"


@dataclass(frozen=True)
class BlockButtons:
    """What sets the 26 sliders at once."""

    preset: Any
    apply: Any
    line: Any
    read: Any
    said: Any


def models_and_method(checkpoints: Checkpoints, words: Callable[[MergeMethod], str]) -> tuple[Fields, Fields, Any]:
    """Return the fields, the groups of settings by method, and the place where a method is described."""
    first = next(iter(offered()))
    models = checkpoints.models()
    fields: Fields = {
        "models": gr.Dropdown(
            models, multiselect=True, label="Models (in order)", elem_id=elem_id("models"),
            info="Type to search. Links that lead out of the model folders are not read.",
        ),
        "method": gr.Dropdown(list(offered()), value=first, label="Method", elem_id=elem_id("method")),
    }  # fmt: skip
    about = gr.HTML(words(offered()[first]), elem_id=elem_id("about"))
    groups = {label: _settings(method, label == first, fields) for label, method in offered().items()}
    with gr.Row(elem_classes=_ROW):
        fields["base"] = gr.Dropdown(
            [NONE, *models], value=NONE, label="Base model", elem_id=elem_id("base"),
            info="With a base, changes from it are merged and added to it.",
        )  # fmt: skip
        fields["strength"] = gr.Slider(
            -2.0, 2.0, value=1.0, step=0.05, label="Strength of the change", elem_id=elem_id("strength"),
            info="How much of the merged change the base gets.",
        )  # fmt: skip
    return fields, groups, about


def _settings(method: MergeMethod, shown: bool, fields: Fields) -> Any:
    with gr.Column(visible=shown, elem_id=elem_id(f"settings_{method.name}")) as group:
        for start in range(0, len(method.parameters), 3):
            with gr.Row(elem_classes=_ROW):
                for parameter in method.parameters[start : start + 3]:
                    name = setting(method, parameter)
                    fields[name] = _setting(parameter, elem_id(name))
    return group


def _setting(parameter: Parameter, elem: str) -> Any:
    control = parameter.control
    told: dict[str, Any] = {"label": parameter.label, "elem_id": elem, "value": parameter.default}
    if control is not None:
        told["info"] = control.help
    if isinstance(control, Choice):
        return gr.Radio(list(control.options), **told)
    if isinstance(control, Range) and control.high <= WIDEST_SLIDER:
        return gr.Slider(control.low, control.high, step=control.step, **told)
    if parameter.type is bool:
        return gr.Checkbox(**told)
    return gr.Number(precision=0 if parameter.type is int else None, **told)


def block_weights() -> tuple[Fields, BlockButtons]:
    fields: Fields = {}
    with gr.Accordion("Block weights", open=False, elem_id=elem_id("blocks")):
        with gr.Row(elem_classes=_ROW):
            fields["use_blocks"] = gr.Checkbox(False, label="Use block weights", elem_id=elem_id("use_blocks"))
            known = block_settings(next(iter(offered().values())))
            fields["blocks_for"] = gr.Dropdown(
                known, value=known[0], label="Setting by block", elem_id=elem_id("blocks_for")
            )
            preset = gr.Dropdown(list(PRESETS), value="All 0.5", label="Shape", elem_id=elem_id("shape"))
            apply = gr.Button("Set the sliders to the shape", size="sm", elem_id=elem_id("shape_apply"))
        for row in (NAMES[:1], NAMES[1:7], NAMES[7:13], NAMES[13:14], NAMES[14:20], NAMES[20:26]):
            with gr.Row(elem_classes=["sticky-blocks"]):
                for name in row:
                    fields[f"block_{name}"] = gr.Slider(
                        0.0, 1.0, value=0.5, step=0.01, label=name, elem_id=elem_id(f"block_{name}"), min_width=90
                    )
        with gr.Row(elem_classes=_ROW):
            line = gr.Textbox(label="Block weights as numbers", elem_id=elem_id("block_line"), scale=3)
            read = gr.Button("Set the sliders to the numbers", size="sm", elem_id=elem_id("block_read"), scale=1)
        said = gr.HTML("", elem_id=elem_id("block_said"))
        fields["rules"] = gr.Textbox(
            label="Rules by block and element", lines=2, elem_id=elem_id("rules"),
            info="One a line, BLOCKS:ELEMENT:VALUE, as IN00-IN05 M00:attn1:0.3; the last that matches wins. "
            "They also reach blocks that have no slider here, as Flux's D00-D18.",
        )  # fmt: skip
    return fields, BlockButtons(preset, apply, line, read, said)


def loras_and_parts(checkpoints: Checkpoints) -> Fields:
    fields: Fields = {}
    with gr.Accordion("LoRAs", open=False, elem_id=elem_id("lora_box")), gr.Row(elem_classes=_ROW):
        fields["loras"] = gr.Dropdown(
            checkpoints.loras(), multiselect=True, label="LoRAs (in order)", elem_id=elem_id("loras"),
            info="Baked into the result.",
        )  # fmt: skip
        fields["lora_strengths"] = gr.Textbox(
            "1", label="LoRA strengths", elem_id=elem_id("lora_strengths"), info="One for all, or one each: 1, 0.6"
        )
    with gr.Accordion("Parts and number formats", open=False, elem_id=elem_id("parts")):
        for part, label in PARTS.items():
            with gr.Row(elem_classes=_ROW):
                fields[f"{part}_from"] = gr.Dropdown(
                    sources(part, checkpoints), value=MERGED, label=f"{label} from", elem_id=elem_id(f"{part}_from")
                )
                fields[f"{part}_format"] = gr.Dropdown(
                    [AS_ALL, *FORMATS], value=AS_ALL, label=f"{label} format", elem_id=elem_id(f"{part}_format")
                )
        fields["omit"] = gr.Textbox(
            label="Keys to leave out",
            lines=1,
            elem_id=elem_id("omit"),
            info="Regular expressions, one a line: ^model_ema",
        )
    return fields


def sources(part: str, checkpoints: Checkpoints) -> list[str]:
    """Where a part may come from: the merge, the first model, or a file (for the VAE also a file of its own)."""
    files = [*checkpoints.vaes(), *checkpoints.models()] if part == "vae" else checkpoints.models()
    return [MERGED, FIRST, *dict.fromkeys(files)]


def output(devices: list[str]) -> Fields:
    fields: Fields = {
        "name": gr.Textbox(
            label="Name of the new checkpoint", elem_id=elem_id("name"), info="Empty: made from the inputs' names."
        )
    }
    with gr.Row(elem_classes=_ROW):
        fields["format"] = gr.Dropdown(
            [AS_INPUT, *FORMATS], value=AS_INPUT, label="Number format", elem_id=elem_id("format")
        )
        fields["device"] = gr.Dropdown(
            devices, value=devices[0], label="Compute whole tensors on", elem_id=elem_id("device"),
            visible=len(devices) > 1,
        )  # fmt: skip
    fields["keep"] = gr.Checkbox(
        False, label="Keep the first model's tensors where others do not fit", elem_id=elem_id("keep")
    )
    fields["overwrite"] = gr.Checkbox(False, label="Replace a file of this name", elem_id=elem_id("overwrite"))
    return fields


def lists(checkpoints: Checkpoints) -> Mapping[str, list[str]]:
    """The choices of every field that lists files, by field."""
    models = checkpoints.models()
    return {
        "models": models,
        "base": [NONE, *models],
        "loras": checkpoints.loras(),
        **{f"{part}_from": sources(part, checkpoints) for part in PARTS},
    }
