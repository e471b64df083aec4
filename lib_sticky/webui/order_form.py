"""Forms made from an order's fields: a control for each, and the values back as a request's JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from lib_sticky.config import ConfigError
from lib_sticky.option import Option

_FINEST = 1e-3
"""Smaller steps are for typing and not for a slider, and so are ranges wider than `_WIDEST` steps."""
_WIDEST = 10_000


def controls(
    rows: Sequence[Sequence[str]],
    options: Mapping[str, Option],
    defaults: Mapping[str, Any],
    elem_id: Callable[[str], str],
    choices: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Components by field, laid out in `rows`; `choices` are those that are only known here, such as samplers."""
    fields: dict[str, Any] = {}
    for row in rows:
        with gr.Row(elem_classes=["sticky-row"]):
            for name in row:
                about = options[name]
                listed = choices.get(name, about.choices)
                fields[name] = _control(about, defaults[name], elem_id(name), listed)
    return fields


def body(
    fields: Sequence[str], values: Sequence[Any], options: Mapping[str, Option], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The form as a request's JSON; whole numbers come from sliders as either kind of number."""
    form = dict(zip(fields, values, strict=True))
    for name, value in form.items():
        if value is None:
            raise ConfigError(options[name].label if name in options else name, "is empty")
        if name in defaults and isinstance(defaults[name], (int, float)):
            form[name] = type(defaults[name])(value)
    return form


def _control(about: Option, default: Any, elem_id: str, choices: Sequence[str]) -> Any:
    common: dict[str, Any] = {"label": about.label, "value": default, "elem_id": elem_id, "info": about.help}
    if isinstance(default, bool):
        return gr.Checkbox(**common)
    if choices:
        return gr.Dropdown(list(choices), **common)
    if isinstance(default, str):
        return gr.Textbox(lines=about.lines, **common)
    if about.step < _FINEST or (about.maximum - about.minimum) / about.step > _WIDEST:
        return gr.Number(precision=0, **common) if isinstance(default, int) else gr.Number(**common)
    return gr.Slider(about.minimum, about.maximum, step=about.step, **common)
