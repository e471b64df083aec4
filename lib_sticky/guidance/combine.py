"""One guided prediction from the passes of a step, in one fixed order.

All predictions are denoised images (x0); D_c is the positive, D_r the reference (the negative, or the empty prompt
with two-scale), D_b the tracked negative. In order, each where the plan says that it acts:

 1. FreeU, and SEG in the negative: inside the model, before this.
 2. Odds gate, APG, norm clamp: the displacement D_c - D_r is replaced, which moves D_r. With two-scale the gate and the
    clamp take D_c - D_b instead, and APG alone takes D_c - D_r.
 3. CFG or CFG++: D = D_r + w (D_c - D_r), with w the CFG scale or lambda.
 4. Dynamic thresholding: D with the spread of a lower scale.
 5. Two-scale: D += g (D_c - D_b).
 6. PAG, SEG, TPG: D += s (D_c - D_weak).
 7. SAG: D += s (D_blurred - D(blurred)).
 8. CFG rescale: D with the contrast of D_c.

Moving D_r rather than D means that everything later, CFG++'s renoising included, sees the same reference, and that a
host which combines on its own can be given the moved D_r as its uncond rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from .cfg import guide
from .displace import State, displace
from .dynamic_thresholding import threshold
from .missing import without_missing
from .passes import Pass, Plan
from .perturbed import push
from .rescale import rescale
from .sag import Degraded
from .selection import Inert, Selection, Technique


@dataclass(frozen=True)
class Record:
    """What one step did: model rows for each image, what acted, and what did not and why."""

    step: int
    evaluations: int
    acted: tuple[Technique, ...]
    inert: tuple[Inert, ...]


@dataclass(frozen=True)
class Guided:
    """The guided prediction, and the moved D_r (None where CFG does not act).

    renoise: what CFG++ renoises with (see cfg_pp.next_latent); None asks for a plain step.
    """

    prediction: Tensor
    reference: Tensor | None
    renoise: Tensor | None
    state: State
    record: Record


def combine(
    selection: Selection,
    plan: Plan,
    x: Tensor,
    predictions: Mapping[Pass, Tensor],
    state: State,
    degraded: Degraded | None = None,
    by_host: Callable[[Tensor], Tensor] | None = None,
) -> Guided:
    """Combine the predictions of the planned passes; x are the latents of this step, [B, C, ...].

    A pass that the host could not run may be left out, all but COND: its technique is then reported as inert.
    degraded: the second call, where the plan wants SAG. by_host: the host's own CFG away from the reference that it is
    given, in place of ours. Raises ValueError without COND.
    """
    if Pass.COND not in predictions:
        raise ValueError(f"no prediction for the positive, only for {[name.value for name in predictions]}; run COND")
    plan = without_missing(plan, predictions.keys(), degraded is not None)
    cond = predictions[Pass.COND]
    moved = displace(selection, plan, x, predictions, state)
    guided = _contrasted(selection, plan, cond, moved.reference, by_host)
    if moved.terms is not None:
        guided = guided + moved.terms * plan.gain
    guided = _pushed(selection, plan, guided, predictions, degraded)
    if selection.rescale and Technique.RESCALE in plan.acting:
        guided = rescale(guided, cond, selection.rescale)
    renoise = None
    if Technique.CFG_PP in plan.acting:
        renoise = cond if moved.reference is None else moved.reference
    record = Record(plan.step.index, plan.evaluations, plan.acting, plan.inert)
    return Guided(guided, moved.reference, renoise, moved.state, record)


def _contrasted(
    selection: Selection,
    plan: Plan,
    cond: Tensor,
    reference: Tensor | None,
    by_host: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    if reference is None:
        return cond
    if selection.dynamic_thresholding and Technique.DYNAMIC_THRESHOLDING in plan.acting:
        return threshold(cond, reference, plan.scale, selection.dynamic_thresholding)
    return guide(cond, reference, plan.scale) if by_host is None else by_host(reference)


def _pushed(
    selection: Selection, plan: Plan, guided: Tensor, predictions: Mapping[Pass, Tensor], degraded: Degraded | None
) -> Tensor:
    cond = predictions[Pass.COND]
    if selection.pag and Technique.PAG in plan.acting:
        guided = guided + push(cond, predictions[Pass.PAG], selection.pag.scale)
    if selection.seg and Technique.SEG in plan.acting:
        guided = guided + push(cond, predictions[Pass.SEG], selection.seg.scale)
    if selection.tpg and Technique.TPG in plan.acting:
        guided = guided + push(cond, predictions[Pass.TPG], selection.tpg.scale)
    if selection.sag and degraded and Technique.SAG in plan.acting:
        guided = guided + push(degraded.image, degraded.prediction, selection.sag.scale)
    return guided
