"""The extension's entry in txt2img and img2img; everything it does is in lib_sticky."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import script_callbacks, scripts
from modules.ui_components import InputAccordion

from lib_sticky.api import compare_routes, compare_run, routes
from lib_sticky.api.compare_jobs import Comparisons
from lib_sticky.hosts import checkpoints, comparison_job, detect, host_api, job, proof, watch
from lib_sticky.infotext import KEY
from lib_sticky.presets import Presets
from lib_sticky.webui import acted, compare_controls, panel, paste, xyz

HOST = detect.webui()
FILES = checkpoints.webui(HOST)
COMPARISONS = Comparisons()


class StickyScript(scripts.Script):
    """Hooks of one tab. Slot 0 of its arguments is reserved for the API's one dict."""

    def title(self) -> str:
        return "Sticky"

    def show(self, is_img2img: bool) -> object:  # noqa: ARG002 (the host passes it by name)
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list:  # noqa: ARG002
        api: Any = gr.JSON(value={}, visible=False, label="Sticky fields (API)", elem_id=self.elem_id("api"))
        api.do_not_save_to_config = True
        presets = Presets(HOST.data_path() / "sticky" / "presets.json")
        built = panel.build(self.elem_id, InputAccordion, presets, self.compare)
        self.on_after_component(
            lambda made: acted.follow(made.component, built.acted), elem_id=f"generation_info_{self.tabname}"
        )
        self.infotext_fields = paste.paste_fields(built, titles)
        self.paste_field_names = [KEY]
        return [api, *built.fields.values(), *built.more]

    def compare(self) -> tuple:
        """The controls of a comparison; the last argument of the script is its ticket."""
        return (compare_controls.build(self.elem_id, COMPARISONS, FILES.models).ticket,)

    def before_process(self, p, api, *values) -> None:
        *fields, ticket = values
        own = slice(self.args_from, self.args_to)
        compare_run.run(p, HOST, COMPARISONS, api or panel.fields_of(fields), ticket, own)

    def process(self, p, api, *values) -> None:
        if not comparison_job.replaced(p):
            job.begin(p, HOST, panel.fields_of(values[:-1]) if api in (None, {}) else api)

    def process_batch(self, p, *_args, **_kwargs) -> None:
        job.untag(p)

    def process_before_every_sampling(self, p, *_args, **_kwargs) -> None:
        job.prepare(p)
        watch.begin(p, HOST)

    def postprocess_batch(self, p, *_args, images=None, **_kwargs) -> None:
        job.finish(p)
        proof.after_batch(p, HOST, images)

    def postprocess(self, p, processed, *_args) -> None:
        proof.show(p, processed)
        comparison_job.show(p, processed)
        job.report(p, processed)


def titles() -> list[str]:
    """The titles of the host's scripts, as they are when something is pasted."""
    return [str(script.title()) for script in scripts.scripts_txt2img.alwayson_scripts]


def add_axes() -> None:
    xyz.add_axes(scripts.scripts_data)


def denoise(params) -> None:
    watch.before(params, HOST)
    job.put_in_place(params)


def started(_demo, app) -> None:
    routes.add(app, HOST)
    if host_api.serves_api():
        compare_routes.add(app, host_api.HostApi(app), COMPARISONS, host_api.accounts())


script_callbacks.on_cfg_denoiser(denoise)
script_callbacks.on_before_ui(add_axes)
script_callbacks.on_app_started(started)
script_callbacks.on_script_unloaded(COMPARISONS.close)
