"""What a sampling pass with techniques has in common on every WebUI, from the plan of a call to what becomes of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lib_sticky.guidance.cfg_pp import for_euler
from lib_sticky.guidance.combine import Guided, Record, combine
from lib_sticky.guidance.displace import State
from lib_sticky.guidance.null import same_conditioning
from lib_sticky.guidance.passes import Pass, Plan, Step
from lib_sticky.guidance.plan import plan_step
from lib_sticky.guidance.sag import Degraded, attention_mask, degrade, degraded_input
from lib_sticky.guidance.selection import Selection, Technique
from lib_sticky.hosts.guided_call import Form, Layout
from lib_sticky.hosts.limits import unet_parts, within
from lib_sticky.hosts.unet_hooks import Wanted, hooked


@dataclass(frozen=True)
class Call:
    """One model call: its rows, the sampler's latents of the images, and how to predict once more.

    again: from latents in the sampler's form to the model's output for them, with the conditioning that SAG degrades.
    """

    layout: Layout
    form: Form
    x: Tensor
    again: Callable[[Tensor], Tensor]


class GuidedPass:
    """Guides one pass. scale: the CFG scale to use, None for the host's own. untitled: the prompt's parts do not count.

    refused: what cannot act in this pass, in words. owner: who else combined the predictions, and how, in words.
    """

    def __init__(self, p: Any, selection: Selection, scale: float | None, *, untitled: bool) -> None:
        self.denoiser = p.sampler.model_wrap_cfg
        self.scale, self.untitled = scale, untitled
        self.selection, self.refused = within(selection, p)
        self.sides_differ = False
        self.records: list[Record] = []
        self.owner = ""
        self._state, self._levels = State(), ()
        self._forward: Callable[..., Any] = self.denoiser.forward
        self.denoiser.forward = self.forward
        self._remember_levels(p.sampler)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """In place of the denoiser's own."""
        raise NotImplementedError

    def _sigma(self, level: float) -> float:
        """The noise level of what the sampler calls a sigma or a timestep."""
        raise NotImplementedError

    def _renoise_with(self, call: Call, image: Tensor) -> None:
        """Let a CFG++ sampler of the host's own add back the noise that is left when `image` is taken off."""
        raise NotImplementedError

    def _remember_levels(self, sampler: Any) -> None:
        """The next step's noise level, which CFG++ needs, is known to the sampling function alone."""
        function = sampler.func

        @functools.wraps(function)
        def remembering(*args: Any, **kwargs: Any) -> Any:
            levels = kwargs.get("sigmas", kwargs.get("timesteps"))
            found = [] if levels is None else [float(level) for level in levels]
            # Timesteps are listed upwards, sigmas downwards.
            self._levels = tuple(reversed(found) if found[:1] < found[-1:] else found)
            return function(*args, **kwargs)

        sampler.func = remembering

    def _after(self, sigma: float) -> float | None:
        """The noise level at which the step from `sigma` ends."""
        sigmas = [self._sigma(level) for level in self._levels]
        if not sigmas:
            return None
        at = min(range(len(sigmas)), key=lambda i: abs(sigmas[i] - sigma))
        return sigmas[min(at + 1, len(sigmas) - 1)]

    def _plan(self, conds: Mapping[Pass, Any], scale: float, sigma: float, *, composed: bool, skipped: bool) -> Plan:
        """What this call runs. composed: some image has an AND prompt. skipped: the host drops the negative."""
        cond, null, denoiser = conds[Pass.COND], conds[Pass.NULL], self.denoiser
        step = Step(
            denoiser.step,
            max(denoiser.total_steps, 1),
            scale,
            cond_equals_uncond=not (composed or self.sides_differ) and same_conditioning(cond, conds[Pass.UNCOND]),
            cond_equals_null=null is not None and not composed and same_conditioning(cond, null),
            uncond_skipped=skipped,
            and_prompt=composed,
            sigma=sigma,
            sigma_next=self._after(sigma),
        )
        return plan_step(self.selection, step)

    def _wanted(self, layout: Layout, x: Tensor) -> Wanted:
        """What a model call with none of the perturbed rows is to do."""
        sigma = self.selection.seg.sigma if self.selection.seg else 0.0
        freeu = self.selection.freeu if Technique.FREEU in layout.plan.acting else None
        return Wanted((), (x.shape[-2], x.shape[-1]), layout.plan.step.index, sigma, freeu)

    def _image(
        self,
        call: Call,
        predictions: Mapping[Pass, Tensor],
        attention: Tensor | None,
        by_host: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """The denoised image that the sampler is to be given; attention: that of the rows that SAG degrades."""
        degraded = None if attention is None else self._degraded(call, predictions, attention)
        x = call.form.latents(call.x)
        own = self.selection.cfg_pp is not None or self.selection.two_scale is not None
        guided = combine(
            self.selection, call.layout.plan, x, predictions, self._state, degraded, None if own else by_host
        )
        self._state = guided.state
        self.records.append(guided.record)
        return self._stepped(call, guided, predictions[Pass.COND])

    def _stepped(self, call: Call, guided: Guided, cond: Tensor) -> Tensor:
        """The prediction as the sampler has to be given it, so that CFG++ comes out of its step."""
        step = call.layout.plan.step
        if getattr(self.denoiser, "need_last_noise_uncond", False):
            self._renoise_with(call, cond if guided.reference is None else guided.reference)
            return guided.prediction
        if guided.renoise is None or step.sigma is None or step.sigma_next is None:
            return guided.prediction
        return for_euler(guided.prediction, guided.renoise, step.sigma, step.sigma_next)

    def _degraded(self, call: Call, predictions: Mapping[Pass, Tensor], attention: Tensor) -> Degraded | None:
        """SAG's second call, on the blurred prediction under the same noise."""
        settings, base = self.selection.sag, predictions[call.layout.plan.sag_base]
        if settings is None:
            return None
        x = call.form.latents(call.x)
        mask = attention_mask(attention, x.shape[-2], x.shape[-1], settings.threshold)
        image = degrade(base, mask.to(x), settings.sigma)
        again = call.form.back(degraded_input(x, base, image))
        with ExitStack() as stack:
            parts, wanted = unet_parts(), self._wanted(call.layout, x)
            if parts and wanted.freeu:
                stack.enter_context(hooked(parts, wanted))
            return Degraded(image, call.form.denoised(again, call.again(again)))
