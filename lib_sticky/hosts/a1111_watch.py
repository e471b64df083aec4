"""The watch over one sampling pass of A1111: the predictions that its own combiner is given, and what it makes of them.

Hangs on the pass's own CFGDenoiser, which A1111 makes anew for every pass, around whatever is there already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lib_sticky.guidance.cfg import compose
from lib_sticky.hosts.a1111_calls import form_at, model_call
from lib_sticky.hosts.guided_call import Form
from lib_sticky.hosts.watch import JobWatch
from lib_sticky.lab.watching import Seen


@dataclass
class _Call:
    """One model call: the images' latents as the sampler writes them, and what the model is given beside them."""

    x: Tensor
    level: float
    image_cond: Tensor
    form: Form
    null: Callable[[], Any]
    seen: Seen | None = None


class A1111Watch:
    """Watches one pass; image editing models combine in another way and are not seen."""

    def __init__(self, p: Any, watch: JobWatch) -> None:
        self._denoiser, self._watch = p.sampler.model_wrap_cfg, watch
        self._forward: Callable[..., Any] = self._denoiser.forward
        self._combined: Callable[..., Tensor] = self._denoiser.combine_denoised
        self._denoiser.forward, self._denoiser.combine_denoised = self.forward, self.combine
        self._call: _Call | None = None

    def before(self, params: Any, null: Callable[[], Any]) -> None:
        """The images' latents are the rows of the negative."""
        if params.denoiser is self._denoiser:
            images, level = params.text_uncond.shape[0], float(params.sigma[0])
            form = form_at(self._denoiser, level)
            self._call = _Call(params.x[-images:], level, params.image_cond[-images:], form, null)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The denoiser's own forward; the probe comes after it, when nothing hangs on the model any more."""
        self._call = None
        out = self._forward(*args, **kwargs)
        call = self._call
        if call is not None and call.seen is not None:
            self._watch.take(call.seen, lambda: self._with_nothing(call))
        return out

    def _with_nothing(self, call: _Call) -> Tensor:
        out = model_call(self._denoiser, call.x, call.level, call.null(), call.image_cond)
        return call.form.denoised(call.x, out)

    def combine(self, x_out: Tensor, conds_list: Any, uncond: Any, cond_scale: Any) -> Tensor:
        """The denoiser's own `combine_denoised`, looked at."""
        guided = self._combined(x_out, conds_list, uncond, cond_scale)
        call = self._call
        if call is not None:
            call.seen = self._seen(call, x_out, conds_list, uncond, guided)
        return guided

    def _seen(self, call: _Call, x_out: Tensor, conds_list: Any, uncond: Any, guided: Tensor) -> Seen:
        form, x = call.form, call.x
        away = form.denoised(x, x_out[-len(x) :]) if uncond.shape[0] else None
        conds = torch.stack([
            _composed(form, x[i : i + 1], x_out, own, None if away is None else away[i])
            for i, own in enumerate(conds_list)
        ])  # fmt: skip
        # Where the host leaves the negative out it puts the positive in its place.
        ran = away is not None and not torch.equal(away, conds)
        step, steps = self._denoiser.step + 1, max(self._denoiser.total_steps, 1)
        return Seen(step, steps, form.sigma, conds, away if ran else None, form.denoised(x, guided))


def _composed(form: Form, x: Tensor, x_out: Tensor, own: Any, away: Tensor | None) -> Tensor:
    """One prediction for the parts of an image's prompt."""
    values = form.denoised(x, x_out[[row for row, _ in own]])
    return values[0] if away is None else compose(values.unbind(), [weight for _, weight in own], away)
