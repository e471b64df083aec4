"""A plan cut down to what the host really ran."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from .passes import Pass, Plan
from .plan import WEAK_PASSES
from .selection import Inert, Technique

_REASON = "the host did not run its pass"
_OF_THE_REFERENCE = {
    Technique.CFG,
    Technique.CFG_PP,
    Technique.FOLDED_SEG,
    Technique.APG,
    Technique.DYNAMIC_THRESHOLDING,
}
_OF_THE_TERMS = {Technique.TWO_SCALE, Technique.ODDS_GATE, Technique.NORM_CLAMP}


def without_missing(plan: Plan, ran: Collection[Pass], degraded: bool) -> Plan:
    """The plan without the techniques whose passes are not among `ran`; they become inert.

    degraded: whether SAG's second call was made.
    """
    lost = {technique for technique, name in WEAK_PASSES.items() if name not in ran}
    if not degraded:
        lost.add(Technique.SAG)
    if Pass.UNCOND not in ran:
        lost |= _OF_THE_TERMS
    reference = plan.reference
    if reference is not None and reference not in ran:
        lost |= _OF_THE_REFERENCE
        reference = None
    lost &= set(plan.acting)
    if not lost and reference is plan.reference:
        return plan
    return replace(
        plan,
        passes=tuple(name for name in plan.passes if name in ran),
        reference=reference,
        acting=tuple(technique for technique in plan.acting if technique not in lost),
        inert=(*plan.inert, *(Inert(technique, _REASON) for technique in Technique if technique in lost)),
    )
