"""Which model passes a step needs, decided before any of them is run: never one that cannot change the result."""

from __future__ import annotations

from collections.abc import Iterator

from .passes import Pass, Plan, Step
from .selection import Inert, Selection, Technique
from .verdicts import consequences, contrast, negative, weak_passes

WEAK_PASSES = {Technique.PAG: Pass.PAG, Technique.SEG: Pass.SEG, Technique.TPG: Pass.TPG}
"""The passes that are run with a crippled model, by the technique that wants them."""


def plan_step(selection: Selection, step: Step) -> Plan:
    """Decide what acts on `step`, which passes that takes, and why the rest is inert."""
    found = contrast(selection, step)
    verdicts = {**dict(weak_passes(selection, step)), **dict(negative(selection, step, found))}
    pushing = (*WEAK_PASSES, Technique.SAG, Technique.TWO_SCALE)
    pushed = any(verdicts.get(technique) == "" for technique in pushing)
    verdicts.update(consequences(selection, step, found, pushed))
    acting = tuple(technique for technique in Technique if verdicts.get(technique) == "")
    inert = tuple(Inert(technique, verdicts[technique]) for technique in Technique if verdicts.get(technique))
    reference = None if found.absent else found.reference
    compared = found.reference if reference or found.composing else None
    passes = tuple(_passes(step, compared, acting))
    return Plan(step, passes, reference, found.scale if reference else 1.0, found.gain, acting, inert)


def _passes(step: Step, compared: Pass | None, acting: tuple[Technique, ...]) -> Iterator[Pass]:
    yield Pass.COND
    negative_runs = compared is Pass.UNCOND or Technique.TWO_SCALE in acting
    if negative_runs:
        yield Pass.UNCOND
    if compared is Pass.NULL or (step.probe and negative_runs and not step.cond_equals_null):
        yield Pass.NULL
    yield from (weak for technique, weak in WEAK_PASSES.items() if technique in acting)
