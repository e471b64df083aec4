"""Gate, project and clamp what a step moves away from (step 2 of `combine`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from . import odds_gate
from .apg import project
from .norm_clamp import clamp
from .passes import Pass, Plan
from .reductions import scaled
from .selection import Selection, Technique

_CHANGES = {Technique.ODDS_GATE, Technique.APG, Technique.NORM_CLAMP}


@dataclass(frozen=True)
class State:
    """What one step leaves for the next of the same sampling pass; a new pass starts from State()."""

    odds: odds_gate.OddsState | None = None
    average: Tensor | None = None


@dataclass(frozen=True)
class Displaced:
    """The reference to guide away from, the displacement of the undesirable terms (two-scale only), and the state."""

    reference: Tensor | None
    terms: Tensor | None
    state: State


def displace(
    selection: Selection, plan: Plan, x: Tensor, predictions: Mapping[Pass, Tensor], state: State
) -> Displaced:
    """The reference with the gate, APG and the clamp applied; untouched where none of them acts."""
    cond = predictions[Pass.COND]
    state = _continued(state, cond)
    odds = _judged(selection, plan, x, cond, state.odds)
    reference = None if plan.reference is None else predictions[plan.reference]
    terms = cond - predictions[Pass.UNCOND] if Technique.TWO_SCALE in plan.acting else None
    average = None
    if terms is not None:
        terms, odds = _gated(selection, plan, x, predictions, terms, odds)
        terms = _clamped(selection, plan, terms)
        if reference is not None and Technique.APG in plan.acting:
            update, average = _projected(selection, plan, cond - reference, cond, state.average)
            reference = cond - update
    elif reference is not None and _CHANGES.intersection(plan.acting):
        update, odds = _gated(selection, plan, x, predictions, cond - reference, odds)
        update, average = _projected(selection, plan, update, cond, state.average)
        reference = cond - _clamped(selection, plan, update)
    return Displaced(reference, terms, State(odds, average))


def _continued(state: State, cond: Tensor) -> State:
    """The state, without what belongs to latents of another size (an earlier pass of the job)."""
    odds, average = state.odds, state.average
    if odds and (odds.log_posterior.shape[0] != cond.shape[0] or (odds.last and odds.last.x.shape != cond.shape)):
        odds = None
    return State(odds, average if average is not None and average.shape == cond.shape else None)


def _judged(
    selection: Selection, plan: Plan, x: Tensor, cond: Tensor, odds: odds_gate.OddsState | None
) -> odds_gate.OddsState | None:
    # Also on steps where the gate does not act: the last step's predictions explain these latents, not later ones.
    if selection.odds_gate is None or plan.step.sigma is None:
        return None
    settings = selection.odds_gate
    return odds_gate.observe(odds or odds_gate.begin(settings, cond), x, plan.step.sigma, settings.evidence)


def _gated(
    selection: Selection,
    plan: Plan,
    x: Tensor,
    predictions: Mapping[Pass, Tensor],
    displacement: Tensor,
    odds: odds_gate.OddsState | None,
) -> tuple[Tensor, odds_gate.OddsState | None]:
    settings, sigma = selection.odds_gate, plan.step.sigma
    if Technique.ODDS_GATE not in plan.acting or settings is None or sigma is None or odds is None:
        return displacement, odds
    odds = odds_gate.predict(odds, x, predictions[Pass.COND], predictions[Pass.UNCOND], sigma)
    return scaled(displacement, odds_gate.gain(odds, settings, plan.gain) / plan.gain), odds


def _projected(
    selection: Selection, plan: Plan, displacement: Tensor, cond: Tensor, average: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    if selection.apg is None or Technique.APG not in plan.acting:
        return displacement, None
    return project(displacement, cond, selection.apg, average)


def _clamped(selection: Selection, plan: Plan, displacement: Tensor) -> Tensor:
    if selection.norm_clamp is None or Technique.NORM_CLAMP not in plan.acting:
        return displacement
    return clamp(displacement, plan.gain, selection.norm_clamp)
