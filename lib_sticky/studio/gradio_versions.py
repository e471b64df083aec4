"""What differs between the Gradio versions that the studio runs on (4.40 to 6), found by looking, not by version."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gradio as gr
from fastapi import FastAPI

_FONTS = {"font": ("system-ui", "sans-serif"), "font_mono": ("ui-monospace", "monospace")}
"""Fonts that every machine has: Gradio's own would be fetched from Google."""


def looks(css: str, script: str) -> dict[str, Any]:
    """How the page looks and the script it runs, for `blocks` and `mount`."""
    return {"css": css, "head": f"<script>{script}</script>", "theme": gr.themes.Default(**_FONTS)}  # pyright: ignore[reportArgumentType]


def blocks(title: str, looks: Mapping[str, Any]) -> gr.Blocks:
    """A page; older Gradio versions want its looks here, version 6 when it is mounted."""
    return gr.Blocks(title=title, analytics_enabled=False, **_taken(gr.Blocks.__init__, looks))


def mount(app: FastAPI, page: gr.Blocks, looks: Mapping[str, Any], allowed_paths: list[str]) -> FastAPI:
    """`app` with `page` at its root; files under `allowed_paths` may be shown."""
    taken = _taken(gr.mount_gradio_app, looks)
    return gr.mount_gradio_app(app, page, path="/", allowed_paths=allowed_paths, **taken)


def gallery(label: str, elem_id: str) -> gr.Gallery:
    """A gallery without the button that would send its pictures to Hugging Face."""
    unshared = {"show_share_button": False, "buttons": ["download", "fullscreen"]}
    taken = _taken(gr.Gallery.__init__, unshared)
    return gr.Gallery(label=label, columns=2, object_fit="contain", elem_id=elem_id, **taken)


def _taken(function: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name in inspect.signature(function).parameters}


@contextmanager
def checkbox_accordion(value: bool, label: str, elem_id: str) -> Iterator[gr.Checkbox]:
    """A checkbox whose options open when it is ticked, in place of the WebUIs' InputAccordion."""
    with gr.Group():
        checkbox = gr.Checkbox(value=value, label=label, elem_id=elem_id)
        with gr.Accordion("Options", open=value, elem_id=f"{elem_id}_options") as options:
            yield checkbox
    checkbox.change(lambda ticked: gr.update(open=ticked), inputs=[checkbox], outputs=[options], show_progress="hidden")
