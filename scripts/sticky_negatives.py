"""The extension's entry in txt2img and img2img; everything it does is in lib_sticky."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import script_callbacks, scripts
from modules.ui_components import InputAccordion

from lib_sticky.api import routes
from lib_sticky.hosts import detect, job
from lib_sticky.infotext import KEY
from lib_sticky.presets import Presets
from lib_sticky.webui import panel, paste, xyz

HOST = detect.webui()


class StickyScript(scripts.Script):
    """Hooks of one tab. Slot 0 of its arguments is reserved for the API's one dict."""

    def title(self) -> str:
        return "Sticky"

    def show(self, is_img2img: bool) -> object:  # noqa: ARG002 (the host passes it by name)
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list:  # noqa: ARG002
        api: Any = gr.JSON(value={}, visible=False, label="Sticky fields (API)", elem_id=self.elem_id("api"))
        api.do_not_save_to_config = True
        built = panel.build(self.elem_id, InputAccordion, Presets(HOST.data_path() / "sticky" / "presets.json"))
        self.infotext_fields = paste.paste_fields(built, titles)
        self.paste_field_names = [KEY]
        return [api, *built.fields.values()]

    def process(self, p, api, *values) -> None:
        job.begin(p, HOST, panel.fields_of(values) if api in (None, {}) else api)

    def process_batch(self, p, *_args, **_kwargs) -> None:
        job.untag(p)

    def process_before_every_sampling(self, p, *_args, **_kwargs) -> None:
        job.prepare(p)

    def postprocess_batch(self, p, *_args, **_kwargs) -> None:
        job.finish(p)


def titles() -> list[str]:
    """The titles of the host's scripts, as they are when something is pasted."""
    return [str(script.title()) for script in scripts.scripts_txt2img.alwayson_scripts]


def add_axes() -> None:
    xyz.add_axes(scripts.scripts_data)


script_callbacks.on_cfg_denoiser(job.put_in_place)
script_callbacks.on_before_ui(add_axes)
script_callbacks.on_app_started(lambda _demo, app: routes.add(app, HOST))
