"""Which passes a step needs, counted, and why the rest does not act."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from guidance_samples import latents
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lib_sticky.guidance import Pass, Plan, Row, Selection, State, Step, Technique, combine, plan_step
from lib_sticky.guidance.apg import Apg
from lib_sticky.guidance.attention_rows import Attention
from lib_sticky.guidance.cfg_pp import CfgPlusPlus
from lib_sticky.guidance.dynamic_thresholding import DynamicThresholding
from lib_sticky.guidance.freeu import FreeU
from lib_sticky.guidance.interval import Interval
from lib_sticky.guidance.norm_clamp import NormClamp
from lib_sticky.guidance.odds_gate import OddsGate
from lib_sticky.guidance.pag import Pag
from lib_sticky.guidance.rescale import Rescale
from lib_sticky.guidance.sag import Degraded, Sag
from lib_sticky.guidance.seg import Seg
from lib_sticky.guidance.tpg import Tpg
from lib_sticky.guidance.two_scale import TwoScale

CFG7 = Step(3, 20, 7.0, sigma=4.0, sigma_next=3.5)
SAME = replace(CFG7, cond_equals_uncond=True)
FOLDED = Seg(math.inf, folded=True)
C, U, N = Pass.COND, Pass.UNCOND, Pass.NULL


def why(plan: Plan) -> dict[Technique, str]:
    return {inert.technique: inert.reason for inert in plan.inert}


CALLS = [
    ("nothing to guide", Selection(), SAME, (C,)),
    ("CFG", Selection(), CFG7, (C, U)),
    ("CFG at 1", Selection(), replace(CFG7, scale=1.0), (C,)),
    ("CFG + PAG", Selection(pag=Pag(1.0)), CFG7, (C, U, Pass.PAG)),
    ("CFG + PAG + SEG", Selection(pag=Pag(1.0), seg=Seg()), CFG7, (C, U, Pass.PAG, Pass.SEG)),
    ("SEG in the negative", Selection(seg=FOLDED), CFG7, (C, U)),
    ("SEG in the negative, untitled", Selection(seg=FOLDED), SAME, (C, U)),
    ("SEG in the negative at CFG 1", Selection(seg=FOLDED), replace(CFG7, scale=1.0), (C,)),
    ("PAG, untitled", Selection(pag=Pag(1.0)), SAME, (C, Pass.PAG)),
    ("TPG, untitled", Selection(tpg=Tpg(3.0)), SAME, (C, Pass.TPG)),
    ("PAG at scale 0", Selection(pag=Pag(0.0)), CFG7, (C, U)),
    ("SEG that blurs nothing", Selection(seg=Seg(0.0)), CFG7, (C, U)),
    ("PAG outside its steps", Selection(pag=Pag(1.0, Interval(0.5, 1.0))), CFG7, (C, U)),
    ("CFG outside its steps", Selection(cfg=Interval(0.5, 1.0)), CFG7, (C,)),
    ("CFG++ at 1", Selection(cfg_pp=CfgPlusPlus(1.0)), replace(CFG7, scale=1.0), (C, U)),
    ("CFG++, untitled", Selection(cfg_pp=CfgPlusPlus(0.6)), SAME, (C,)),
    ("CFG 1 that mimics 4", Selection(dynamic_thresholding=DynamicThresholding(4.0)), replace(CFG7, scale=1.0), (C, U)),
    ("two-scale", Selection(two_scale=TwoScale(2.0)), CFG7, (C, U, N)),
    ("two-scale without terms", Selection(two_scale=TwoScale(0.0)), CFG7, (C, N)),
    ("two-scale, same negative", Selection(two_scale=TwoScale(2.0)), SAME, (C, N)),
    ("two-scale at CFG 1", Selection(two_scale=TwoScale(2.0)), replace(CFG7, scale=1.0), (C, U)),
    ("negative skipped", Selection(), replace(CFG7, uncond_skipped=True), (C,)),
    ("negative skipped, PAG", Selection(pag=Pag(1.0)), replace(CFG7, uncond_skipped=True), (C, Pass.PAG)),
    ("AND at CFG 1", Selection(), replace(CFG7, scale=1.0, and_prompt=True), (C, U)),
    ("AND of equals", Selection(), replace(SAME, scale=1.0, and_prompt=True), (C,)),
    ("AND outside CFG's steps", Selection(cfg=Interval(0.5, 1.0)), replace(CFG7, and_prompt=True), (C, U)),
    ("probe", Selection(), replace(CFG7, probe=True), (C, U, N)),
    ("probe of nothing", Selection(), replace(SAME, probe=True), (C,)),
]


@pytest.mark.parametrize(("selection", "step", "passes"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
def test_passes_of_a_step(selection: Selection, step: Step, passes: tuple[Pass, ...]):
    plan = plan_step(selection, step)
    assert plan.passes == passes
    assert plan.evaluations == len(passes)


def test_sag_adds_a_second_call():
    plan = plan_step(Selection(sag=Sag()), SAME)
    assert (plan.passes, plan.degraded, plan.evaluations, plan.sag_base) == ((C,), True, 2, C)
    plan = plan_step(Selection(sag=Sag()), CFG7)
    assert (plan.passes, plan.evaluations, plan.sag_base) == ((C, U), 3, U)
    assert plan_step(Selection(sag=Sag(), seg=FOLDED), CFG7).sag_base is C


def test_rows_say_how_a_pass_is_run():
    plan = plan_step(Selection(pag=Pag(1.0), seg=Seg(), tpg=Tpg(1.0)), CFG7)
    rows = {name: plan.row(name) for name in plan.passes}
    assert rows == {
        C: Row(C),
        U: Row(U),
        Pass.PAG: Row(C, Attention.IDENTITY),
        Pass.SEG: Row(C, Attention.BLURRED),
        Pass.TPG: Row(C, shuffled=True),
    }
    folded = plan_step(Selection(seg=FOLDED), CFG7)
    assert [folded.row(name) for name in folded.passes] == [Row(C), Row(U, Attention.BLURRED)]
    split = plan_step(Selection(seg=FOLDED, two_scale=TwoScale(1.0)), CFG7)
    assert [split.row(name).attention for name in (C, U, N)] == [Attention.PLAIN, Attention.PLAIN, Attention.BLURRED]


REASONS = [
    (Selection(), SAME, Technique.CFG, "the positive and the negative are the same"),
    (Selection(), replace(CFG7, scale=1.0), Technique.CFG, "the CFG scale is 1"),
    (Selection(), replace(CFG7, uncond_skipped=True), Technique.CFG, "the host skipped the negative on this step"),
    (Selection(cfg=Interval(0.5, 1)), CFG7, Technique.CFG, "outside its steps"),
    (Selection(cfg_pp=CfgPlusPlus(0.6)), CFG7, Technique.CFG, "CFG++ takes its place"),
    (Selection(cfg_pp=CfgPlusPlus(0.6)), SAME, Technique.CFG_PP, "the positive and the negative are the same"),
    (Selection(apg=Apg()), SAME, Technique.APG, "CFG does not act"),
    (Selection(apg=Apg(eta=1.0)), CFG7, Technique.APG, "its settings are those of plain CFG"),
    (
        Selection(dynamic_thresholding=DynamicThresholding(1.0)),
        SAME,
        Technique.DYNAMIC_THRESHOLDING,
        "CFG does not act",
    ),
    (
        Selection(dynamic_thresholding=DynamicThresholding(4.0, 0.3)),
        replace(CFG7, scale=4.0),
        Technique.DYNAMIC_THRESHOLDING,
        "its settings are those of plain CFG at this scale",
    ),
    (Selection(rescale=Rescale(0.7)), SAME, Technique.RESCALE, "nothing else changed the prediction"),
    (Selection(rescale=Rescale(0.0)), CFG7, Technique.RESCALE, "its phi is 0"),
    (Selection(pag=Pag(0.0)), CFG7, Technique.PAG, "its scale is 0"),
    (Selection(sag=Sag(sigma=0.0)), CFG7, Technique.SAG, "its sigma is 0"),
    (Selection(freeu=FreeU(1, 1, 1, 1)), CFG7, Technique.FREEU, "all its factors are 1"),
    (Selection(odds_gate=OddsGate()), replace(CFG7, sigma=None), Technique.ODDS_GATE, "the host gives no noise level"),
    (Selection(odds_gate=OddsGate(), seg=FOLDED), CFG7, Technique.ODDS_GATE, "SEG blurs the pass that it judges by"),
    (
        Selection(odds_gate=OddsGate(), cfg_pp=CfgPlusPlus(0.05)),
        CFG7,
        Technique.ODDS_GATE,
        "nothing pushes away from the negative",
    ),
    (Selection(norm_clamp=NormClamp()), CFG7, Technique.NORM_CLAMP, "its limit is infinite"),
    (Selection(two_scale=TwoScale(0.0)), CFG7, Technique.TWO_SCALE, "its terms scale is 0"),
    (
        Selection(two_scale=TwoScale(1.0)),
        replace(CFG7, cond_equals_null=True),
        Technique.CFG,
        "the positive is empty too",
    ),
]


@pytest.mark.parametrize(("selection", "step", "technique", "reason"), REASONS)
def test_reasons(selection: Selection, step: Step, technique: Technique, reason: str):
    plan = plan_step(selection, step)
    assert why(plan)[technique] == reason
    assert technique not in plan.acting


def test_gain_under_cfg_pp_is_that_of_the_equal_euler_step():
    assert plan_step(Selection(cfg_pp=CfgPlusPlus(0.6)), CFG7).gain == pytest.approx(0.6 * 4.0 / 0.5 - 1)
    assert plan_step(Selection(), CFG7).gain == 6.0


SWITCHES = {
    "cfg_pp": CfgPlusPlus(1.5),
    "two_scale": TwoScale(2.0),
    "odds_gate": OddsGate(),
    "norm_clamp": NormClamp(0.1),
    "apg": Apg(0.0, 5.0, -0.5),
    "dynamic_thresholding": DynamicThresholding(1.0, 0.3),
    "pag": Pag(1.0),
    "seg": Seg(),
    "tpg": Tpg(2.0),
    "sag": Sag(),
    "rescale": Rescale(0.5),
    "freeu": FreeU(1.1, 1.2, 0.6, 0.4),
}
SELECTIONS = st.builds(
    lambda chosen, seg: replace(Selection(**{name: SWITCHES[name] for name in chosen}), **seg),
    st.sets(st.sampled_from(sorted(SWITCHES))),
    st.sampled_from([{}, {"seg": FOLDED}]),
)
STEPS = st.builds(
    Step,
    index=st.integers(0, 19),
    total=st.just(20),
    scale=st.sampled_from([1.0, 3.0, 25.0]),
    cond_equals_uncond=st.booleans(),
    cond_equals_null=st.booleans(),
    uncond_skipped=st.booleans(),
    sigma=st.sampled_from([None, 4.0]),
    sigma_next=st.sampled_from([None, 3.5]),
)


def run(selection: Selection, plan: Plan, change: Callable[[Pass, Tensor], Tensor] = lambda _, t: t) -> Tensor:
    """Combine fixed random predictions; `change` alters those of one pass."""
    seeds = {name: i for i, name in enumerate(Pass)}
    if plan.step.cond_equals_uncond and plan.row(U).attention is Attention.PLAIN:
        seeds[U] = seeds[C]
    if plan.step.cond_equals_null and plan.row(N).attention is Attention.PLAIN:
        seeds[N] = seeds[C]
    predictions = {name: change(name, latents(seeds[name], 2, 4, 6, 6)) for name in plan.passes}
    degraded = Degraded(latents(20, 2, 4, 6, 6), latents(21, 2, 4, 6, 6)) if plan.degraded else None
    done = combine(selection, plan, latents(30, 2, 4, 6, 6), predictions, State(), degraded)
    renoise = torch.zeros_like(done.prediction) if done.renoise is None else done.renoise
    return torch.stack([done.prediction, renoise])


@given(SELECTIONS, STEPS)
def test_no_planned_pass_is_idle(selection: Selection, step: Step):
    """Changing the prediction of any planned pass changes the result."""
    plan = plan_step(selection, step)
    before = run(selection, plan)
    assert torch.isfinite(before).all()
    for name in plan.passes:
        moved = run(selection, plan, lambda p, t, name=name: t + latents(40, 2, 4, 6, 6) if p is name else t)
        assert not torch.equal(moved, before)


@given(SELECTIONS, STEPS)
def test_every_technique_is_either_acting_or_explained(selection: Selection, step: Step):
    plan = plan_step(selection, step)
    asked = {name.upper() for name in SWITCHES if getattr(selection, name) is not None} | {"CFG"}
    if selection.seg and selection.seg.folded:
        asked = asked - {"SEG"} | {"FOLDED_SEG"}
    told = [technique.name for technique in plan.acting] + [inert.technique.name for inert in plan.inert]
    assert sorted(told) == sorted(asked)
    assert all(inert.reason for inert in plan.inert)


@given(SELECTIONS, STEPS)
def test_what_is_said_to_act_changes_the_result(selection: Selection, step: Step):
    """Turning off a technique that acts, and nothing else, gives another result."""
    plan = plan_step(selection, step)
    inside_the_model = {Technique.FREEU, Technique.FOLDED_SEG, Technique.CFG, Technique.CFG_PP}
    # On the first step of a pass the momentum has nothing to carry and the odds gate may leave everything at its cap.
    for technique in set(plan.acting) - inside_the_model - {Technique.ODDS_GATE}:
        without = replace(plan, acting=tuple(kept for kept in plan.acting if kept is not technique))
        assert not torch.equal(run(selection, plan), run(selection, without)), technique


def test_all_pairs_can_be_combined():
    for names in itertools.combinations(SWITCHES, 2):
        selection = Selection(**{name: SWITCHES[name] for name in names})
        assert torch.isfinite(run(selection, plan_step(selection, CFG7))).all()
