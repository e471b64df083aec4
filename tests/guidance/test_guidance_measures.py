"""Effective CFG, dilution, the null conditioning, AND weights and the shared interval."""

from __future__ import annotations

import pytest
import torch
from guidance_samples import SEEDS, close, latents
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.guidance.cfg import compose, guide
from lib_sticky.guidance.effective_cfg import dilution, displacement_ratio, effective_scale, gain_for
from lib_sticky.guidance.interval import Interval, covers
from lib_sticky.guidance.null import same_conditioning, zeroed
from lib_sticky.guidance.two_scale import TwoScale, and_weights


def test_effective_scale_by_hand():
    cond, uncond, null = torch.tensor([[4.0, 0.0]]), torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    close(displacement_ratio(cond, uncond, null), [0.25])
    assert effective_scale(25.0, 0.25) == 7.0
    assert gain_for(7.0, [0.25], 100.0) == 25.0


@given(SEEDS, st.floats(0.0, 1.0), st.floats(1.0, 30.0))
def test_a_diluted_negative_is_a_smaller_scale(seed: int, alpha: float, scale: float):
    cond, null = latents(seed, 2, 4, 5, 5, dtype=torch.float64), latents(seed + 1, 2, 4, 5, 5, dtype=torch.float64)
    uncond = null + alpha * (cond - null)
    close(dilution(cond, uncond, null), [alpha, alpha], 1e-9)
    feels = effective_scale(scale, float(displacement_ratio(cond, uncond, null)[0]))
    close(guide(cond, uncond, scale), guide(cond, null, feels).numpy(), 1e-9)


@given(st.floats(1.5, 12.0), st.lists(st.floats(0.05, 1.0), min_size=1, max_size=9))
def test_auto_gain_hits_its_target_at_the_median(target: float, measured: list[float]):
    scale = gain_for(target, measured, 1e6)
    feels = sorted(effective_scale(scale, ratio) for ratio in measured)
    if len(feels) % 2:
        assert feels[len(feels) // 2] == pytest.approx(target)
    assert gain_for(target, measured, 8.0) <= 8.0


def test_auto_gain_without_displacement_or_measurement():
    assert gain_for(7.0, [0.0, 0.0], 30.0) == 30.0
    with pytest.raises(ValueError, match="no probe step"):
        gain_for(7.0, [], 30.0)


def test_zero_differences_are_finite():
    zero, some = torch.zeros(2, 4, 3, 3), latents(0, 2, 4, 3, 3)
    assert displacement_ratio(zero, zero, zero).tolist() == [0.0, 0.0]
    assert displacement_ratio(some, zero, some).tolist() == [0.0, 0.0]
    assert dilution(some, zero, some).tolist() == [0.0, 0.0]


@given(SEEDS, st.floats(1.0, 12.0), st.floats(0.0, 20.0))
def test_two_scale_is_a_prompt_with_and(seed: int, scale: float, terms: float):
    cond, bad, null = (latents(seed + i, 1, 4, 3, 3, dtype=torch.float64) for i in range(3))
    by_and = guide(compose([cond, bad], and_weights(scale, terms), null), null, scale)
    if scale != 1:
        close(by_and, (null + scale * (cond - null) + terms * (cond - bad)).numpy(), 1e-9)


def test_two_scale_refuses_a_negative_gain():
    with pytest.raises(ValueError, match="terms scale is -1"):
        TwoScale(-1)


def test_zeros_are_of_the_text_alone():
    assert torch.equal(zeroed(torch.ones(2, 3)), torch.zeros(2, 3))
    sdxl = zeroed({"crossattn": torch.ones(1, 2, 3), "vector": torch.ones(1, 2816)})
    assert sdxl["crossattn"].sum() == 0
    assert sdxl["vector"][0, :1280].sum() == 0
    assert sdxl["vector"][0, 1280:].sum() == 1536
    assert zeroed({"crossattn": torch.ones(2, 3), "vector": torch.ones(2048)})["vector"].sum() == 0
    studio = {"crossattn": torch.ones(2, 3), "text_embeds": torch.ones(4), "time_ids": torch.ones(6)}
    assert {key: float(value.sum()) for key, value in zeroed(studio).items()} == {
        "crossattn": 0, "text_embeds": 0, "time_ids": 6,
    }  # fmt: skip


def test_same_conditioning():
    one, other = torch.ones(1, 77, 4), torch.ones(1, 154, 4)
    assert same_conditioning(one, one.clone())
    assert not same_conditioning(one, other)
    assert not same_conditioning(one, {"crossattn": one})
    assert same_conditioning({"a": one}, {"a": one.clone()})
    assert not same_conditioning({"a": one}, {"b": one})
    assert not same_conditioning({"a": one}, {"a": one + 1e-6})


@given(st.integers(1, 200), st.floats(0, 1), st.floats(0, 1))
def test_interval_parts_cover_every_step_once(total: int, a: float, b: float):
    low, high = sorted((a, b))
    parts = [Interval(0, low), Interval(low, high), Interval(high, 1)]
    for step in range(total):
        assert sum(covers(part, step, total) for part in parts) == 1


def test_interval_by_hand():
    assert [s for s in range(10) if covers(Interval(0.2, 0.5), s, 10)] == [2, 3, 4]
    assert covers(Interval(0.0, 0.2), 0, 10)  # diffusers' PAG, SEG and SLG never act on step 0
    assert [s for s in range(100) if covers(Interval(0.29, 0.3), s, 100)] == [29]  # int(0.29 * 100) is 28
    assert not covers(Interval(0.5, 0.5), 5, 10)
    assert covers(Interval(0.5, 1.0), 40, 20)  # an adaptive sampler's extra step


@pytest.mark.parametrize(("start", "stop"), [(0.6, 0.5), (-0.1, 1.0), (0.0, 1.1), (float("nan"), 1.0)])
def test_interval_out_of_range(start: float, stop: float):
    with pytest.raises(ValueError, match=r"start is|stop is"):
        Interval(start, stop)
