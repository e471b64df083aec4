"""The watch over one sampling pass of the Forge family: a function at the end of its own chain after CFG."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from lib_sticky.hosts.watch import JobWatch
from lib_sticky.lab.watching import Seen

Compile = Callable[[Any], list[dict[str, Any]]]
"""The host's own way from a conditioning to what its model is called with."""

Predict = Callable[..., Any]
"""The host's `calc_cond_uncond_batch`."""

_OF_THE_JOB = ("control",)
_OF_THE_PICTURE = "c_concat"


class ForgeWatch:
    """Watches one pass; the host throws the function away with the pass's own copy of the model."""

    def __init__(self, p: Any, watch: JobWatch, compiled: Compile, predict: Predict) -> None:
        self._watch, self._compiled, self._predict = watch, compiled, predict
        self._denoiser: Any = None
        self._null: Callable[[], Any] | None = None
        unet = p.sd_model.forge_objects.unet.clone()
        unet.set_model_sampler_post_cfg_function(_function(self))
        p.sd_model.forge_objects.unet = unet

    def before(self, params: Any, null: Callable[[], Any]) -> None:
        """Which step it is is known here alone."""
        self._denoiser, self._null = params.denoiser, null

    def after(self, args: dict[str, Any]) -> Tensor:
        """Look at the predictions and hand on what was made of them."""
        guided, denoiser = args["denoised"], self._denoiser
        if denoiser is None:
            return guided
        uncond = args["uncond_denoised"]
        ran = uncond is not None and bool(uncond.any())  # All zeros where the host left it out.
        step, steps = denoiser.step + 1, max(denoiser.total_steps, 1)
        sigma = float(args["sigma"].flatten()[0])
        seen = Seen(step, steps, sigma, args["cond_denoised"], uncond if ran else None, guided)
        self._watch.take(seen, lambda: self._with_nothing(args))
        return guided

    def _with_nothing(self, args: dict[str, Any]) -> Tensor:
        """The empty prompt's prediction, with everything of the positive that is not text."""
        if self._null is None:
            raise ValueError("the host made a model call that it did not announce")
        first, nothing = args["cond"][0], self._compiled(self._null())
        for each in nothing:
            each.update({name: first[name] for name in _OF_THE_JOB if name in first})
            if _OF_THE_PICTURE in first["model_conds"]:
                each["model_conds"][_OF_THE_PICTURE] = first["model_conds"][_OF_THE_PICTURE]
        found, _ = self._predict(args["model"], nothing, None, args["input"], args["sigma"], args["model_options"])
        return found


def _function(watch: ForgeWatch) -> Callable[[dict[str, Any]], Tensor]:
    """`after` as a function: cloning a UNet copies functions by reference, but methods with all that they belong to."""

    def after(args: dict[str, Any]) -> Tensor:
        return watch.after(args)

    return after
