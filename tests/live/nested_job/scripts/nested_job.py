"""Two jobs inside another, as ADetailer runs them: one with the sticky script in its runner and one with no script."""

from __future__ import annotations

import copy
from typing import Any

import gradio as gr
from modules import processing, scripts

STICKY = "sticky"


class NestedJob(scripts.Script):
    """Adds both inner pictures to the outer job's answer, after the outer one's own."""

    def title(self) -> str:
        return "Nested job"

    def show(self, is_img2img: bool) -> object:  # noqa: ARG002 (the host passes it by name)
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list:  # noqa: ARG002
        with gr.Accordion("Nested job", open=False):
            enabled = gr.Checkbox(False, label="Run two inner jobs", elem_id=self.elem_id("enabled"))
            prompt = gr.Textbox("", label="Inner prompt", elem_id=self.elem_id("prompt"))
            negative = gr.Textbox("", label="Inner negative prompt", elem_id=self.elem_id("negative"))
        return [enabled, prompt, negative]

    def postprocess_image(self, p: Any, pp: Any, enabled: bool, prompt: str, negative: str) -> None:
        if not enabled:
            return
        p.nested = [
            *getattr(p, "nested", []),
            _inner(p, pp.image, prompt, negative, with_sticky=True),
            _inner(p, pp.image, prompt, negative, with_sticky=False),
        ]

    def postprocess(self, p: Any, processed: Any, *_args: Any) -> None:
        for inner in getattr(p, "nested", []):
            processed.images.append(inner.images[0])
            processed.infotexts.append(inner.infotexts[0])


def _inner(p: Any, image: Any, prompt: str, negative: str, *, with_sticky: bool) -> Any:
    job = processing.StableDiffusionProcessingImg2Img(
        init_images=[image.copy()],
        resize_mode=0,
        denoising_strength=0.8,
        sd_model=p.sd_model,
        outpath_samples=p.outpath_samples,
        outpath_grids=p.outpath_grids,
        prompt=prompt,
        negative_prompt=negative,
        seed=11,
        sampler_name=p.sampler_name,
        steps=p.steps,
        cfg_scale=p.cfg_scale,
        width=p.width,
        height=p.height,
        do_not_save_samples=True,
        do_not_save_grid=True,
    )
    runner = copy.copy(p.scripts)
    runner.alwayson_scripts = [found for found in runner.alwayson_scripts if with_sticky and _is_sticky(found)]
    job.scripts = runner
    job.script_args = copy.deepcopy(p.script_args)
    try:
        return processing.process_images(job)
    finally:
        job.close()


def _is_sticky(script: Any) -> bool:
    return script.title().lower() == STICKY
