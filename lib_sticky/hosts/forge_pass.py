"""The techniques in one sampling pass of the Forge family: rows added to its compiled conditionings, its CFG kept.

All hangs on one conditioning modifier of a cloned UNet. It works on every call anew, so whatever others have put into
the model options by then, in slots that only one can hold too, is wrapped and delegated to.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from lib_sticky.guidance import space
from lib_sticky.guidance.cfg import guide
from lib_sticky.guidance.passes import Pass
from lib_sticky.guidance.plan import plan_step
from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.forge_conditions import MARK, Name, marked, weightless, with_text
from lib_sticky.hosts.guided_call import Form, Layout
from lib_sticky.hosts.guided_pass import Call, GuidedPass
from lib_sticky.hosts.limits import unet_parts, without_perturbing
from lib_sticky.hosts.unet_hooks import hooked

Calc = Callable[..., tuple[Tensor, Tensor]]
"""The host's `calc_cond_uncond_batch(model, cond, uncond, x, timestep, model_options)`."""

_WRAPPER, _POST, _CFG, _KEEP = (
    "model_function_wrapper",
    "sampler_post_cfg_function",
    "sampler_cfg_function",
    "disable_cfg1_optimization",
)
_MAY_NEED_NEGATIVE = (_POST, _CFG, _KEEP, "sampler_pre_cfg_function", "sampler_calc_cond_batch_function")


@dataclass
class _Call:
    """A call under way, of the images x. The lists are those that the host was given, `own` what they were before."""

    layout: Layout
    x: Tensor
    null: Any
    scale: float
    lists: tuple[list[Any], list[Any] | None]
    own: tuple[list[Any], list[Any] | None]
    options: dict[str, Any]
    found: dict[Name, Tensor] = field(default_factory=dict[Name, Tensor])
    attention: Tensor | None = None


class ForgePass(GuidedPass):
    """Guides one pass (see GuidedPass). asked: the CFG scale of the host's own; calc: its function for model calls."""

    def __init__(
        self, p: Any, selection: Selection, scale: float | None, *, untitled: bool, asked: float, calc: Calc
    ) -> None:
        super().__init__(p, selection, scale, untitled=untitled)
        self._asked, self._calc = asked, calc
        self._conds: dict[Pass, Any] | None = None
        self._call: _Call | None = None
        self._noise: Tensor | None = None
        self._modifier = _modifier(weakref.ref(self))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The denoiser's own forward, after which a CFG++ sampler takes the noise that it adds back."""
        self._noise = None
        try:
            return self._forward(*args, **kwargs)
        finally:
            self._conds = self._call = None
            if self._noise is not None:
                self.denoiser.last_noise_uncond = self._noise

    def before(self, params: Any, empty: Callable[[], Any]) -> None:
        """Take up what this call is conditioned on; `modify` plans it, once the host has settled its CFG scale."""
        if params.denoiser is not self.denoiser:
            return  # A later pass of the job, in which the techniques are off.
        null = empty() if self.selection.two_scale else None
        self._conds = {Pass.COND: params.text_cond, Pass.UNCOND: params.text_uncond, Pass.NULL: null}
        objects = self.denoiser.inner_model.inner_model.forge_objects
        if self._modifier not in objects.unet.model_options.get("conditioning_modifiers", ()):
            unet = objects.unet.clone()  # On the first call, and where a refiner has brought another UNet.
            unet.add_conditioning_modifier(self._modifier)
            objects.unet = unet

    def modify(
        self, model: Any, x: Tensor, sigma: Tensor, uncond: Any, cond: Any, scale: float, options: Any, seed: Any
    ) -> tuple[Any, ...]:
        """The host's conditioning modifier: what it was given, with the rows that the plan of this call needs."""
        conds, self._conds = self._conds, None
        if conds is None:
            return model, x, sigma, uncond, cond, scale, options, seed
        self._make_way(options)
        skipped = uncond is None or (math.isclose(scale, 1.0) and not math.isclose(self._asked, 1.0))
        scale = scale if skipped or self.scale is None else self.scale
        entries = [{**cond[0], "strength": 1.0}] if self.untitled else list(cond)
        weights = [float(entry.get("strength", 1.0)) for entry in entries]
        plan = self._plan(conds, scale, float(sigma[0]), composed=weights != [1.0], skipped=skipped)
        runs = Pass.UNCOND in plan.passes or not (skipped or self._alone(options))
        images = x.shape[0]
        parts = tuple(tuple((j * images + i, weight) for j, weight in enumerate(weights)) for i in range(images))
        extra = tuple(name for name in plan.passes if name not in (Pass.COND, Pass.UNCOND))
        layout = Layout(plan, len(entries) * images, parts, extra, negative=runs)
        given = (
            [*_named(Pass.COND, entries), *(row for name in extra for row in _rows(name, entries, conds[Pass.NULL]))],
            None if uncond is None else _named(Pass.UNCOND, uncond),
        )
        self._call = _Call(layout, x, conds[Pass.NULL], scale, given, (entries, uncond), options)
        ours = {**options, _WRAPPER: self._running(options.get(_WRAPPER)), _POST: [self.after, *options.get(_POST, ())]}
        if runs:
            ours[_KEEP] = True
        return model, x, sigma, given[1], given[0], scale if runs else 1.0, ours, seed

    def _make_way(self, options: dict[str, Any]) -> None:
        """Leave single rows alone where another wrapper of the model decides how its rows are run."""
        less = without_perturbing(self.selection)
        if _WRAPPER in options and less != self.selection:
            self.selection = less
            owner = _module(options[_WRAPPER])
            self.refused = (*self.refused, f"PAG, SEG, TPG and SAG cannot act while {owner} runs the model")

    def _alone(self, options: dict[str, Any]) -> bool:
        """Whether nobody else acts on the predictions, who might count on the negative's."""
        renoises = getattr(self.denoiser, "need_last_noise_uncond", False)
        return not (renoises or any(options.get(name) for name in _MAY_NEED_NEGATIVE))

    def _running(self, wrapped: Any) -> Callable[[Any, dict[str, Any]], Tensor]:
        def run(apply_model: Any, args: dict[str, Any]) -> Tensor:
            about = dict(args["c"])
            names: Sequence[Name] = about.pop(MARK, ())
            if wrapped is not None:
                return self._seen(names, lambda: wrapped(apply_model, {**args, "c": about}))
            return self._seen(names, lambda: apply_model(args["input"], args["timestep"], **about))

        return run

    def _seen(self, names: Sequence[Name], run: Callable[[], Tensor]) -> Tensor:
        """Run the rows of these passes as each of them is run, and keep what comes out."""
        call, unet = self._call, unet_parts()
        if call is None or not names:
            return run()
        images = call.layout.images
        if unet is None:
            out = run()
        else:
            rows = [call.layout.plan.row(name) for name, _ in names for _ in range(images)]
            watched = tuple(i for i in range(len(rows)) if names[i // images][0] is call.layout.watched)
            wanted = replace(self._wanted(call.layout, call.x), rows=rows, watched=watched)
            with hooked(unet, wanted) as seen:
                out = run()
            call.attention = call.attention if seen.attention is None else seen.attention
        call.found.update(zip(names, out.chunk(len(names)), strict=True))
        return out

    def after(self, args: dict[str, Any]) -> Tensor:
        """The host's post-CFG function, before those of others: what guidance makes of the predictions of this call."""
        call, self._call = self._call, None
        if call is None:
            return args["denoised"]
        for given, own in zip(call.lists, call.own, strict=True):
            if given is not None:
                given[:] = own or []  # Functions after this one may run the model on them once more.
        layout = self._as_run(call)
        entries, form, x = len(call.own[0]), Form(layout.plan.step.sigma or 0.0), args["input"]
        rows = [call.found[Pass.COND, j] for j in range(entries)]
        rows += [call.found[name, j] for name in layout.extra for j in range(1 if name is Pass.NULL else entries)]
        rows += [args["uncond_denoised"]] if layout.negative else []
        predictions = layout.predictions(x, torch.cat(rows), form)
        again = Call(layout, form, x, lambda latents: self._again(call, layout, latents, args))
        return self._image(again, predictions, call.attention, self._by_host(call, predictions, args))

    def _as_run(self, call: _Call) -> Layout:
        """The layout, planned anew where the host dropped the negative after all (reForge tells no one before)."""
        layout = call.layout
        if not layout.negative or any(name is Pass.UNCOND for name, _ in call.found):
            return layout
        plan = plan_step(self.selection, replace(layout.plan.step, uncond_skipped=True))
        extra = tuple(name for name in layout.extra if name in plan.passes)
        return replace(layout, plan=plan, extra=extra, negative=False)

    def _by_host(self, call: _Call, predictions: Any, args: dict[str, Any]) -> Callable[[Tensor], Tensor]:
        """The host's CFG away from a reference: what it has made where that is the negative, else made once more."""
        own, x, cond = call.options.get(_CFG), args["input"], predictions[Pass.COND]
        if own is not None:
            self.owner = self.owner or f"the CFG of {_module(own)} was left out"

        def by_host(reference: Tensor) -> Tensor:
            if own is not None:
                self.owner = f"{_module(own)} made the CFG"
            if reference is predictions.get(Pass.UNCOND):
                return args["denoised"]
            if own is None:
                return guide(cond, reference, call.scale)
            told = {"cond": x - cond, "uncond": x - reference, "cond_denoised": cond, "uncond_denoised": reference}
            told |= {"cond_scale": call.scale, "timestep": args["sigma"], "input": x, "sigma": args["sigma"]}
            return x - own({**told, "model": args["model"], "model_options": args["model_options"]})

        return by_host

    def _again(self, call: _Call, layout: Layout, latents: Tensor, args: dict[str, Any]) -> Tensor:
        base, (conds, uncond) = layout.plan.sag_base, call.own
        if base is Pass.UNCOND:
            return self._calc(args["model"], [], uncond, latents, args["sigma"], call.options)[1]
        entry = {**conds[0], "strength": 1.0}
        entry = with_text(entry, call.null) if base is Pass.NULL else entry
        return self._calc(args["model"], [entry], None, latents, args["sigma"], call.options)[0]

    def _renoise_with(self, call: Call, image: Tensor) -> None:
        self._noise = (call.x - image) / call.form.sigma

    def _sigma(self, level: float) -> float:
        if not self.denoiser.classic_ddim_eps_estimation:
            return level
        return space.sigma(float(self.denoiser.inner_model.inner_model.alphas_cumprod[round(level)]))


def _modifier(owner: weakref.ref[ForgePass]) -> Callable[..., tuple[Any, ...]]:
    """`modify` as a function: cloning a UNet copies functions by reference, but methods with all that they belong to.

    Weak, because the host keeps the last job's UNet until the next job.
    """

    def modify(*given: Any) -> tuple[Any, ...]:
        guiding = owner()
        return given if guiding is None else guiding.modify(*given)

    return modify


def _named(name: Pass, entries: Sequence[Any]) -> list[Any]:
    return [marked(entry, (name, j)) for j, entry in enumerate(entries)]


def _rows(name: Pass, entries: Sequence[Any], null: Any) -> list[Any]:
    """The entries of a pass besides the positive and the negative."""
    texts = [with_text(entries[0], null)] if name is Pass.NULL else entries
    return _named(name, [weightless(entry) for entry in texts])


def _module(function: Any) -> str:
    return str(getattr(getattr(function, "func", function), "__module__", "another extension"))
