"""Writes how often the UNet ran, and on how many rows, into the infotext."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import scripts

KEY = "UNet calls"


class CountCalls(scripts.Script):
    """Counts on the network itself, below everything that an extension can wrap."""

    def title(self) -> str:
        return "Count calls"

    def show(self, is_img2img: bool) -> object:  # noqa: ARG002 (the host passes it by name)
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list:  # noqa: ARG002
        with gr.Accordion("Count calls", open=False):
            return [gr.Checkbox(False, label="Count UNet calls", elem_id=self.elem_id("enabled"))]

    def process(self, p: Any, enabled: bool) -> None:
        if not enabled:
            return
        p.unet_rows = []
        p.extra_generation_params[KEY] = lambda **_: f"{len(p.unet_rows)} with {sum(p.unet_rows)} rows"
        p.unet_hook = _unet(p.sd_model).register_forward_pre_hook(
            lambda _unet, args, kwargs: p.unet_rows.append(len(args[0] if args else kwargs["x"])), with_kwargs=True
        )

    def postprocess(self, p: Any, _processed: Any, *_args: Any) -> None:
        hook = getattr(p, "unet_hook", None)
        if hook is not None:
            hook.remove()


def _unet(model: Any) -> Any:
    objects = getattr(model, "forge_objects", None)
    return model.model.diffusion_model if objects is None else objects.unet.model.diffusion_model
