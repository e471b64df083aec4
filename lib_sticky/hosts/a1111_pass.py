"""The techniques in one sampling pass of A1111: rows added to its own model call, its own combiner delegated to.

Everything hangs on the pass's own CFGDenoiser, which A1111 makes anew for every pass, so nothing has to be undone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lib_sticky.guidance.passes import Pass
from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.a1111_calls import form_at, model_call, parts_of_prompts
from lib_sticky.hosts.guided_call import Layout
from lib_sticky.hosts.guided_pass import Call, GuidedPass
from lib_sticky.hosts.limits import unet_parts
from lib_sticky.hosts.rows import joined, spread, taken
from lib_sticky.hosts.unet_hooks import Seen, hooked


@dataclass(frozen=True)
class _Begun:
    """A call under way, what its hooks saw, and the CFG scale in place of the host's."""

    call: Call
    seen: Seen
    scale: float | None


class A1111Pass(GuidedPass):
    """Guides one pass by the denoiser's own `combine_denoised` (see GuidedPass)."""

    def __init__(self, p: Any, selection: Selection, scale: float | None, *, untitled: bool) -> None:
        super().__init__(p, selection, scale, untitled=untitled)
        self._s_min_uncond = float(getattr(p, "s_min_uncond", 0) or 0)
        self._begun: _Begun | None = None
        self._hooks = ExitStack()
        self._combined: Callable[..., Tensor] = self.denoiser.combine_denoised
        self.denoiser.combine_denoised = self.combine

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The denoiser's own forward; what `before` hung on the model is taken off again, also after an error."""
        with ExitStack() as self._hooks:
            try:
                return self._forward(*args, **kwargs)
            finally:
                other = self.denoiser.combine_denoised
                if self._begun is not None and other != self.combine:
                    owner = getattr(getattr(other, "func", other), "__module__", "another extension")
                    self.owner = f"{owner} combined the predictions in place of Sticky"
                self._begun = None

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
        conds = {Pass.COND: params.text_cond, Pass.UNCOND: params.text_uncond, Pass.NULL: null}
        level, x = float(params.sigma[0]), params.x[-images:]
        composed = any([weight for _, weight in own] != [1.0] for own in parts)
        skipped = self._skips(level)
        plan = self._plan(conds, self._asked(), self._sigma(level), composed=composed, skipped=skipped)
        extra = tuple(name for name in plan.passes if name not in (Pass.COND, Pass.UNCOND))
        idle = Pass.UNCOND not in plan.passes and not skipped and self._alone()
        layout = Layout(plan, prompts, parts, extra, negative=not (idle or skipped))
        self._extend(params, layout, null, keep=not idle)
        unet, seen = unet_parts(), Seen()
        if unet:
            wanted = replace(self._wanted(layout, x), rows=layout.rows(), watched=_watched(layout))
            seen = self._hooks.enter_context(hooked(unet, wanted))
        texts, image_cond = taken(conds[plan.sag_base], slice(0, images)), params.image_cond[:images]
        call = Call(
            layout,
            form_at(self.denoiser, level),
            x,
            lambda again: model_call(self.denoiser, again, level, texts, image_cond),
        )
        self._begun = _Begun(call, seen, None if self.scale is None else plan.step.scale)

    def _asked(self) -> float:
        """The CFG scale that the host would use, or the one in its place."""
        asked = self.denoiser.sampler.sampler_extra_args["cond_scale"] if self.scale is None else self.scale
        multiplier = self.denoiser.cond_scale_miltiplier
        return float(asked) * (multiplier if isinstance(multiplier, (int, float)) else 1.0)

    def _sigma(self, level: float) -> float:
        return form_at(self.denoiser, level).sigma

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
        return self._unwrapped() and all(
            "lib_sticky" in str(getattr(each.callback, "__module__", "")) for each in others
        )

    def _unwrapped(self) -> bool:
        """Whether the combiner that ours delegates to is the host's own."""
        return getattr(self._combined, "__func__", None) is type(self.denoiser).combine_denoised

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
        begun, self._begun = self._begun, None
        if begun is None:
            return self._combined(x_out, conds_list, uncond, cond_scale)
        self._hooks.close()  # The model's call is over; SAG's second one hangs up what it needs.
        call = begun.call
        layout, form, x = call.layout, call.form, call.x
        predictions = layout.predictions(x, x_out, form)

        def by_host(reference: Tensor) -> Tensor:
            scale = cond_scale if begun.scale is None else begun.scale
            rows, parts = x_out[: layout.prompts], [list(own) for own in layout.parts] if self.untitled else conds_list
            if self._unwrapped() and reference is not predictions.get(Pass.UNCOND):
                # It was moved seen from the sum of an AND prompt's parts.
                rows, parts = form.predicted(x, predictions[Pass.COND]), [[(i, 1.0)] for i in range(layout.images)]
            rows = torch.cat([rows, form.predicted(x, reference)])
            return form.denoised(x, self._combined(rows, parts, reference, scale))

        image = self._image(call, predictions, begun.seen.attention, by_host)
        return form.predicted(x, image)

    def _renoise_with(self, call: Call, image: Tensor) -> None:
        self.denoiser.last_noise_uncond = call.form.predicted(call.x, image)


def _watched(layout: Layout) -> tuple[int, ...]:
    """The rows whose attention SAG needs."""
    if layout.watched is None:
        return ()
    first = layout.first(layout.watched)
    return tuple(range(first, first + layout.images))
