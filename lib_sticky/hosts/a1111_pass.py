"""The techniques in one sampling pass of A1111: rows added to its own model call, its own combiner delegated to.

Everything hangs on the pass's own CFGDenoiser, which A1111 makes anew for every pass, so nothing has to be undone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lib_sticky.guidance.cfg_pp import for_euler
from lib_sticky.guidance.combine import Guided, Record, combine
from lib_sticky.guidance.displace import State
from lib_sticky.guidance.null import same_conditioning
from lib_sticky.guidance.passes import Pass, Step
from lib_sticky.guidance.plan import plan_step
from lib_sticky.guidance.sag import Degraded, attention_mask, degrade, degraded_input
from lib_sticky.guidance.selection import Selection, Technique
from lib_sticky.hosts.a1111_calls import Form, Layout, form_at, model_call, parts_of_prompts
from lib_sticky.hosts.a1111_limits import unet_parts, within
from lib_sticky.hosts.rows import joined, spread, taken
from lib_sticky.hosts.unet_hooks import Seen, Wanted, hooked


@dataclass
class _Call:
    """One model call under way; level is what the sampler calls sigma, x its latents of the images."""

    layout: Layout
    form: Form
    level: float
    x: Tensor
    conds: Any
    image_cond: Tensor
    scale: float | None
    seen: Seen


class A1111Pass:
    """Guides one pass. scale: the CFG scale to use, None for the host's own. untitled: the prompt's parts do not count.

    refused: what cannot act in this pass, in words. owner: who else combined the predictions, "" where nobody did.
    """

    def __init__(self, p: Any, selection: Selection, scale: float | None, *, untitled: bool) -> None:
        self.denoiser = p.sampler.model_wrap_cfg
        self.scale, self.untitled = scale, untitled
        self.selection, self.refused = within(selection, p)
        self.sides_differ = False
        self.records: list[Record] = []
        self.owner = ""
        self._s_min_uncond = float(getattr(p, "s_min_uncond", 0) or 0)
        self._state, self._levels = State(), ()
        self._call: _Call | None = None
        self._calls = ExitStack()
        self._forward: Callable[..., Any] = self.denoiser.forward
        self._combined: Callable[..., Tensor] = self.denoiser.combine_denoised
        self.denoiser.forward = self.forward
        self.denoiser.combine_denoised = self.combine
        self._remember_levels(p.sampler)

    def _remember_levels(self, sampler: Any) -> None:
        """The next step's noise level, which CFG++ needs, is known to the sampling function alone."""
        function = sampler.func

        @functools.wraps(function)
        def remembering(*args: Any, **kwargs: Any) -> Any:
            levels = kwargs.get("sigmas", kwargs.get("timesteps"))
            self._levels = () if levels is None else tuple(float(level) for level in levels)
            return function(*args, **kwargs)

        sampler.func = remembering

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The denoiser's own forward; what `before` hung on the model is taken off again, also after an error."""
        with ExitStack() as self._calls:
            try:
                return self._forward(*args, **kwargs)
            finally:
                owner = self.denoiser.combine_denoised
                if self._call is not None and owner != self.combine:
                    self.owner = str(getattr(getattr(owner, "func", owner), "__module__", "another extension"))
                self._call = None

    def before(self, params: Any, empty: Callable[[], Any]) -> None:
        """Plan this call and give `params` its rows; `empty` gives the conditioning of the empty prompt, a row each."""
        if params.denoiser is not self.denoiser:
            return  # A later pass of the job, in which the techniques are off.
        images = params.text_uncond.shape[0]
        parts = parts_of_prompts(self.denoiser.sampler.sampler_extra_args["cond"])
        prompts = sum(len(own) for own in parts)
        if params.x.shape[0] != prompts + images:
            raise ValueError("an image editing model has a CFG of its own; use it with Image CFG scale 1")
        if self.untitled:
            parts = tuple(((own[0][0], 1.0),) for own in parts)
        null = empty() if self.selection.two_scale else None
        step = self._step(params, parts, null)
        plan = plan_step(self.selection, step)
        extra = tuple(name for name in plan.passes if name not in (Pass.COND, Pass.UNCOND))
        idle = Pass.UNCOND not in plan.passes and not step.uncond_skipped and self._alone()
        layout = Layout(plan, prompts, parts, extra, negative=not (idle or step.uncond_skipped))
        level, x = float(params.sigma[0]), params.x[-images:]
        self._extend(params, layout, null, keep=not idle)
        sigma = self.selection.seg.sigma if self.selection.seg else 0.0
        freeu = self.selection.freeu if Technique.FREEU in plan.acting else None
        wanted = Wanted(layout.rows(), (x.shape[-2], x.shape[-1]), step.index, sigma, freeu, layout.watched())
        parts_now = unet_parts()
        seen = self._calls.enter_context(hooked(parts_now, wanted)) if parts_now else Seen()
        conds = {Pass.COND: params.text_cond, Pass.UNCOND: params.text_uncond, Pass.NULL: null}
        scale = None if self.scale is None else step.scale
        self._call = _Call(layout, form_at(self.denoiser, level), level, x, conds, params.image_cond, scale, seen)

    def _step(self, params: Any, parts: Sequence[Sequence[tuple[int, float]]], null: Any) -> Step:
        denoiser, level = self.denoiser, float(params.sigma[0])
        composed = any([weight for _, weight in own] != [1.0] for own in parts)
        asked = denoiser.sampler.sampler_extra_args["cond_scale"] if self.scale is None else self.scale
        multiplier = denoiser.cond_scale_miltiplier
        after, texts = self._after(level), (params.text_cond, params.text_uncond)
        return Step(
            denoiser.step,
            max(denoiser.total_steps, 1),
            float(asked) * (multiplier if isinstance(multiplier, (int, float)) else 1.0),
            cond_equals_uncond=not (composed or self.sides_differ) and same_conditioning(*texts),
            cond_equals_null=null is not None and not composed and same_conditioning(params.text_cond, null),
            uncond_skipped=self._skips(level),
            and_prompt=composed,
            sigma=form_at(self.denoiser, level).sigma,
            sigma_next=after,
        )

    def _after(self, level: float) -> float | None:
        """The noise level at which this step ends; timesteps are listed upwards, sigmas downwards."""
        levels = self._levels
        if not levels:
            return None
        at = min(range(len(levels)), key=lambda i: abs(levels[i] - level))
        if levels[0] < levels[-1]:
            return form_at(self.denoiser, levels[max(at - 1, 0)]).sigma
        return levels[min(at + 1, len(levels) - 1)]

    def _skips(self, level: float) -> bool:
        """Whether the host drops the negative on this step, by the rule of CFGDenoiser.forward."""
        from modules.shared import opts

        denoiser = self.denoiser
        if opts.skip_early_cond != 0.0 and denoiser.step / denoiser.total_steps <= opts.skip_early_cond:
            return True
        odd = bool(denoiser.step % 2) or bool(opts.s_min_uncond_all)
        return odd and self._s_min_uncond > 0 and level < self._s_min_uncond

    def _alone(self) -> bool:
        """Whether nobody else acts on the denoiser, who might count on the negative's rows."""
        from modules.script_callbacks import callback_map

        others = [*callback_map["callbacks_cfg_denoiser"], *callback_map["callbacks_cfg_denoised"]]
        ours = getattr(self._combined, "__func__", None) is type(self.denoiser).combine_denoised
        return ours and all("lib_sticky" in str(getattr(each.callback, "__module__", "")) for each in others)

    def _extend(self, params: Any, layout: Layout, null: Any, *, keep: bool) -> None:
        prompts, images = layout.prompts, layout.images
        kept = [*range(prompts), *(row for name in layout.extra for row in layout.sources(name))]
        kept += range(prompts, prompts + images) if keep else []
        for field in ("x", "sigma", "image_cond"):
            values = getattr(params, field)
            if values.shape[0] == prompts + images:
                setattr(params, field, values[kept])
        more = [null if name is Pass.NULL else params.text_cond for name in layout.extra]
        texts = [params.text_cond, *more, params.text_uncond]
        if more:
            texts = spread(texts)
        params.text_cond = joined(texts[:-1]) if more else params.text_cond
        params.text_uncond = texts[-1] if keep else taken(texts[-1], slice(0, 0))

    def combine(self, x_out: Tensor, conds_list: Any, uncond: Any, cond_scale: Any) -> Tensor:
        """In place of the denoiser's own `combine_denoised`, which makes the CFG in it."""
        call = self._call
        if call is None:
            return self._combined(x_out, conds_list, uncond, cond_scale)
        self._call = None
        layout, form, x = call.layout, call.form, call.x
        predictions = layout.predictions(x, x_out, form)
        degraded = self._degraded(call, predictions)

        def by_host(reference: Tensor) -> Tensor:
            scale = cond_scale if call.scale is None else call.scale
            rows = torch.cat([x_out[: layout.prompts], form.predicted(x, reference)])
            parts = [list(own) for own in layout.parts] if self.untitled else conds_list
            return form.denoised(x, self._combined(rows, parts, reference, scale))

        own = self.selection.cfg_pp is not None or self.selection.two_scale is not None
        guided = combine(
            self.selection, layout.plan, form.latents(x), predictions, self._state, degraded, None if own else by_host
        )
        self._state = guided.state
        self.records.append(guided.record)
        image = self._stepped(layout.plan.step, guided, form, x, predictions[Pass.COND])
        return form.predicted(x, image)

    def _stepped(self, step: Step, guided: Guided, form: Form, x: Tensor, cond: Tensor) -> Tensor:
        """The prediction as the sampler has to be given it, so that CFG++ comes out of its step."""
        if self.denoiser.need_last_noise_uncond:
            away = cond if guided.reference is None else guided.reference
            self.denoiser.last_noise_uncond = form.predicted(x, away)
            return guided.prediction
        if guided.renoise is None or step.sigma is None or step.sigma_next is None:
            return guided.prediction
        return for_euler(guided.prediction, guided.renoise, step.sigma, step.sigma_next)

    def _degraded(self, call: _Call, predictions: dict[Pass, Tensor]) -> Degraded | None:
        """SAG's second call, on the blurred prediction under the same noise."""
        settings, attention = self.selection.sag, call.seen.attention
        if settings is None or attention is None:
            return None
        layout, form = call.layout, call.form
        base = layout.plan.sag_base
        x = form.latents(call.x)
        mask = attention_mask(attention, x.shape[-2], x.shape[-1], settings.threshold)
        image = degrade(predictions[base], mask.to(x), settings.sigma)
        conds = taken(call.conds[base], slice(0, layout.images))
        again = form.back(degraded_input(x, predictions[base], image))
        with ExitStack() as stack:
            parts = unet_parts()
            if parts and Technique.FREEU in layout.plan.acting:
                wanted = Wanted([], (x.shape[-2], x.shape[-1]), layout.plan.step.index, freeu=self.selection.freeu)
                stack.enter_context(hooked(parts, wanted))
            out = model_call(self.denoiser, again, call.level, conds, call.image_cond[: layout.images])
        return Degraded(image, form.denoised(again, out))
