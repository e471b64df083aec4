"""The fixed order, the state from step to step, and the record."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from guidance_samples import SEEDS, SHAPES, close, latents
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lib_sticky.guidance import Guided, Pass, Selection, State, Step, Technique, combine, plan_step
from lib_sticky.guidance.apg import Apg, project
from lib_sticky.guidance.cfg import guide
from lib_sticky.guidance.cfg_pp import CfgPlusPlus
from lib_sticky.guidance.dynamic_thresholding import DynamicThresholding, threshold
from lib_sticky.guidance.norm_clamp import NormClamp
from lib_sticky.guidance.odds_gate import OddsGate
from lib_sticky.guidance.pag import Pag
from lib_sticky.guidance.report import activity, described, evaluations, lines
from lib_sticky.guidance.rescale import Rescale, rescale
from lib_sticky.guidance.sag import Degraded, Sag
from lib_sticky.guidance.seg import Seg
from lib_sticky.guidance.tpg import Tpg
from lib_sticky.guidance.two_scale import TwoScale

STEP = Step(0, 20, 7.0, sigma=4.0, sigma_next=3.0)
EVERYTHING = Selection(
    odds_gate=OddsGate(0.5, 0.6),
    norm_clamp=NormClamp(0.5),
    apg=Apg(0.2, 20.0, -0.5),
    dynamic_thresholding=DynamicThresholding(2.0, 0.5, separate_channels=False),
    pag=Pag(1.0),
    seg=Seg(),
    tpg=Tpg(0.5),
    sag=Sag(),
    rescale=Rescale(0.4),
)


def predictions(seed: int, batch: int, shape: tuple[int, ...]) -> dict[Pass, Tensor]:
    return {name: latents(seed + i, batch, *shape) for i, name in enumerate(Pass)}


def go(selection: Selection, step: Step, found: dict[Pass, Tensor], state: State | None = None) -> Guided:
    x = latents(99, *found[Pass.COND].shape)
    second = Degraded(latents(98, *x.shape), latents(97, *x.shape))
    plan = plan_step(selection, step)
    return combine(selection, plan, x, found, state or State(), second if plan.degraded else None)


def test_plain_cfg_is_bit_exact():
    found = predictions(0, 2, (4, 8, 8))
    done = go(Selection(), STEP, found)
    assert torch.equal(done.prediction, guide(found[Pass.COND], found[Pass.UNCOND], 7.0))
    assert done.reference is found[Pass.UNCOND]
    assert done.renoise is None


OFF = {
    "all at 0": Selection(
        pag=Pag(0.0), seg=Seg(scale=0.0), tpg=Tpg(0.0), sag=Sag(0.0), rescale=Rescale(0.0), apg=Apg(1.0),
        norm_clamp=NormClamp(math.inf), dynamic_thresholding=DynamicThresholding(7.0, 0.3),
    ),
    "phi 0": Selection(dynamic_thresholding=DynamicThresholding(1.0, 0.0)),
    "folded SEG that blurs nothing": Selection(seg=Seg(0.0, folded=True)),
}  # fmt: skip


@pytest.mark.parametrize("selection", OFF.values(), ids=OFF)
def test_off_is_bit_identical_to_cfg(selection: Selection):
    found = predictions(1, 2, (4, 8, 8))
    assert torch.equal(go(selection, STEP, found).prediction, guide(found[Pass.COND], found[Pass.UNCOND], 7.0))


@given(SEEDS, SHAPES)
def test_lab_identities(seed: int, shape: tuple[int, ...]):
    found = predictions(seed, 2, shape)
    cond, null = found[Pass.COND], found[Pass.NULL]
    # Negative = positive is CFG 1, whether the host says so or not.
    assert torch.equal(go(Selection(), replace(STEP, cond_equals_uncond=True), found).prediction, cond)
    assert torch.equal(go(Selection(), STEP, {Pass.COND: cond, Pass.UNCOND: cond}).prediction, cond)
    # CFG 1 ignores the negative.
    assert torch.equal(go(Selection(), replace(STEP, scale=1.0), found).prediction, cond)
    # Two-scale with gain 0 is plain CFG against the empty prompt.
    assert torch.equal(go(Selection(two_scale=TwoScale(0.0)), STEP, found).prediction, guide(cond, null, 7.0))


@given(SEEDS, SHAPES)
def test_order_of_everything(seed: int, shape: tuple[int, ...]):
    found = predictions(seed, 1, shape)
    found = {name: tensor.double() for name, tensor in found.items()}
    cond = found[Pass.COND]
    done = go(EVERYTHING, STEP, found)
    update = (cond - found[Pass.UNCOND]) * (0.5 * 0.6 / 0.4 / 6.0)
    update, average = project(update, cond, EVERYTHING.apg)
    size = float(update.square().mean().sqrt()) * 6.0
    reference = cond - update * min(1.0, 0.5 / size)
    expected = threshold(cond, reference, 7.0, EVERYTHING.dynamic_thresholding)
    expected = expected + 1.0 * (cond - found[Pass.PAG]) + 3.0 * (cond - found[Pass.SEG])
    expected = expected + 0.5 * (cond - found[Pass.TPG])
    expected = expected + 0.5 * (latents(98, *cond.shape) - latents(97, *cond.shape))
    close(done.prediction, rescale(expected, cond, EVERYTHING.rescale).numpy(), 1e-6)
    close(done.state.average, average.numpy(), 1e-9)


@given(SEEDS, SHAPES, st.booleans())
def test_batch_of_two_is_two_of_one(seed: int, shape: tuple[int, ...], split: bool):
    selection = replace(EVERYTHING, two_scale=TwoScale(3.0)) if split else EVERYTHING
    steps = [STEP, Step(1, 20, 7.0, sigma=3.0, sigma_next=2.0)]
    state, alone = State(), [State(), State()]
    for step in steps:
        found = predictions(seed + step.index * 50, 2, shape)
        x = latents(seed + 7, 2, *shape)
        second = Degraded(latents(98, 2, *shape), latents(97, 2, *shape))
        plan = plan_step(selection, step)
        both = combine(selection, plan, x, found, state, second)
        state = both.state
        for i in range(2):
            row = slice(i, i + 1)
            one = combine(
                selection, plan, x[row], {name: t[row] for name, t in found.items()}, alone[i],
                Degraded(second.image[row], second.prediction[row]),
            )  # fmt: skip
            alone[i] = one.state
            close(both.prediction[row], one.prediction.numpy(), 2e-6)


@given(st.sampled_from([(4, 6, 6), (4, 2, 5, 5)]), st.booleans(), st.booleans())
def test_zero_differences_are_finite(shape: tuple[int, ...], zeros: bool, split: bool):
    same = torch.zeros(2, *shape) if zeros else latents(0, 2, *shape)
    selection = replace(EVERYTHING, sag=None, two_scale=TwoScale(3.0) if split else None)
    done = go(selection, STEP, dict.fromkeys(Pass, same))
    close(done.prediction, same.numpy())


def test_seg_in_the_negative_is_guided_by_the_cfg_scale():
    found = predictions(2, 1, (4, 8, 8))
    selection = Selection(seg=Seg(folded=True))
    done = go(selection, replace(STEP, scale=3.0, cond_equals_uncond=True), found)
    close(done.prediction, (found[Pass.UNCOND] + 3 * (found[Pass.COND] - found[Pass.UNCOND])).numpy())
    assert Technique.FOLDED_SEG in done.record.acted


def test_pag_does_not_bypass_thresholding():
    found = predictions(3, 1, (4, 8, 8))
    settings = DynamicThresholding(1.0, 0.3, separate_channels=False)
    done = go(Selection(pag=Pag(1.0), dynamic_thresholding=settings), STEP, found)
    expected = threshold(found[Pass.COND], found[Pass.UNCOND], 7.0, settings)
    close(done.prediction, (expected + found[Pass.COND] - found[Pass.PAG]).numpy())


def test_cfg_pp_hands_on_what_to_renoise_with():
    found = predictions(4, 1, (4, 8, 8))
    selection = Selection(cfg_pp=CfgPlusPlus(0.6))
    done = go(selection, STEP, found)
    close(done.prediction, guide(found[Pass.COND], found[Pass.UNCOND], 0.6).numpy())
    assert done.renoise is found[Pass.UNCOND]
    # Untitled: without a push it is a plain step; with PAG the push stays out of the noise.
    same = replace(STEP, cond_equals_uncond=True)
    assert go(selection, same, found).renoise is None
    pushed = go(replace(selection, pag=Pag(1.0)), same, found)
    assert pushed.renoise is found[Pass.COND]


def test_gate_moves_the_reference_for_cfg_pp_too():
    found = predictions(5, 1, (4, 8, 8))
    selection = Selection(cfg_pp=CfgPlusPlus(0.6), odds_gate=OddsGate(0.5, 0.5))
    done = go(selection, STEP, found)
    cond, uncond = found[Pass.COND], found[Pass.UNCOND]
    share = 0.5 / (0.6 * 4.0 / 1.0 - 1)
    close(done.reference, (cond - (cond - uncond) * share).numpy())
    assert done.renoise is done.reference


def test_two_scale_by_hand_and_clamped():
    ones = {Pass.COND: 3.0, Pass.UNCOND: 2.5, Pass.NULL: 1.0}
    found = {name: torch.full((1, 1, 2, 2), value) for name, value in ones.items()}
    done = go(Selection(two_scale=TwoScale(4.0)), STEP, found)
    assert done.prediction.unique().tolist() == [1.0 + 7 * 2.0 + 4 * 0.5]
    done = go(Selection(two_scale=TwoScale(4.0), norm_clamp=NormClamp(0.5)), STEP, found)
    assert done.prediction.unique().tolist() == pytest.approx([1.0 + 7 * 2.0 + 0.5])


def test_state_of_another_size_is_dropped():
    selection = Selection(odds_gate=OddsGate(), apg=Apg(0.0, momentum=-0.5))
    small = go(selection, STEP, predictions(6, 2, (4, 8, 8)))
    large = predictions(6, 2, (4, 12, 12))
    after, fresh = go(selection, STEP, large, small.state), go(selection, STEP, large)
    assert torch.equal(after.prediction, fresh.prediction)
    smaller_batch = {name: t[:1] for name, t in predictions(6, 2, (4, 8, 8)).items()}
    assert torch.equal(
        go(selection, STEP, smaller_batch, small.state).prediction, go(selection, STEP, smaller_batch).prediction
    )


def test_gate_forgets_a_prediction_that_a_skipped_step_followed():
    selection = Selection(odds_gate=OddsGate())
    found = predictions(7, 1, (4, 8, 8))
    first = go(selection, STEP, found)
    assert first.state.odds is not None
    assert first.state.odds.last is not None
    skipped = go(selection, Step(1, 20, 7.0, uncond_skipped=True, sigma=3.0), found, first.state)
    assert skipped.state.odds is not None
    assert skipped.state.odds.last is None
    assert not torch.equal(skipped.state.odds.log_posterior, first.state.odds.log_posterior)


def test_a_pass_that_the_host_could_not_run_is_reported():
    found = predictions(8, 1, (4, 8, 8))
    selection = Selection(pag=Pag(1.0), sag=Sag(), cfg_pp=CfgPlusPlus(0.6))
    plan = plan_step(selection, STEP)
    done = combine(selection, plan, found[Pass.COND], {Pass.COND: found[Pass.COND]}, State())
    assert torch.equal(done.prediction, found[Pass.COND])
    assert done.renoise is None
    assert done.record.acted == ()
    assert done.record.evaluations == 1
    lost = {inert.technique for inert in done.record.inert if inert.reason == "the host did not run its pass"}
    assert lost == {Technique.PAG, Technique.SAG, Technique.CFG_PP}


def test_two_scale_without_its_negative_is_plain_cfg():
    found = predictions(9, 1, (4, 8, 8))
    selection = Selection(two_scale=TwoScale(2.0), odds_gate=OddsGate(), norm_clamp=NormClamp(0.1))
    ran = {name: found[name] for name in (Pass.COND, Pass.NULL)}
    done = combine(selection, plan_step(selection, STEP), found[Pass.COND], ran, State())
    assert torch.equal(done.prediction, guide(ran[Pass.COND], ran[Pass.NULL], 7.0))
    assert done.record.acted == (Technique.CFG,)


def test_without_the_positive_there_is_nothing_to_combine():
    found = predictions(10, 1, (4, 8, 8))
    with pytest.raises(ValueError, match="no prediction for the positive"):
        combine(Selection(), plan_step(Selection(), STEP), found[Pass.COND], {Pass.UNCOND: found[Pass.UNCOND]}, State())


def test_the_inputs_are_left_alone():
    found = predictions(11, 2, (4, 8, 8))
    kept = {name: tensor.clone() for name, tensor in found.items()}
    go(EVERYTHING, STEP, found)
    assert all(torch.equal(kept[name], found[name]) for name in Pass)


def test_report_counts_steps_reasons_and_evaluations():
    selection = Selection(pag=Pag(1.0), rescale=Rescale(0.0))
    steps = [replace(STEP, index=i, uncond_skipped=i == 2) for i in range(4)]
    records = [go(selection, step, predictions(0, 1, (4, 4, 4))).record for step in steps]
    found = {item.technique: item for item in activity(records)}
    assert found[Technique.CFG].steps == (0, 1, 3)
    assert found[Technique.CFG].reasons == (("the host skipped the negative on this step", 1),)
    assert found[Technique.PAG].steps == (0, 1, 2, 3)
    assert str(found[Technique.RESCALE]) == "CFG rescale: inert on 4 (its phi is 0)"
    assert str(found[Technique.CFG]).startswith("CFG: acted on 3 steps, inert on 1 (the host skipped")
    assert evaluations(records) == 3 + 3 + 2 + 3
    assert lines(records)[-1] == "model rows a step: 2 on 1, 3 on 3"
    assert lines(records)[0].startswith("CFG: acted on 3 steps")
    told = described(records)
    assert told["rows"] == [3, 3, 2, 3]
    assert told["techniques"][0] == {
        "name": "CFG", "steps": [0, 1, 3], "inert": {"the host skipped the negative on this step": 1},
    }  # fmt: skip
