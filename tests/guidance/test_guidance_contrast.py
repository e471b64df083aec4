"""CFG, rescale, dynamic thresholding, APG and the norm clamp, against numpy written from the papers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from guidance_samples import SEEDS, SHAPES, close, latents
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.guidance.apg import Apg, project
from lib_sticky.guidance.cfg import compose, guide
from lib_sticky.guidance.dynamic_thresholding import DynamicThresholding, threshold
from lib_sticky.guidance.norm_clamp import NormClamp, clamp
from lib_sticky.guidance.rescale import Rescale, rescale

ARTICLE = DynamicThresholding(mimic=1.0, phi=0.3, separate_channels=False)
THRESHOLDINGS = st.builds(
    DynamicThresholding,
    mimic=st.sampled_from([1.0, 4.0, 7.0]),
    phi=st.sampled_from([0.3, 1.0]),
    percentile=st.sampled_from([0.5, 0.97, 1.0]),
    variability=st.sampled_from(["AD", "STD"]),
    startpoint=st.sampled_from(["MEAN", "ZERO"]),
    separate_channels=st.booleans(),
)


def pair(seed: int, batch: int, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    return latents(seed, batch, *shape), latents(seed + 1, batch, *shape)


def reference_threshold(cond: np.ndarray, uncond: np.ndarray, scale: float, s: DynamicThresholding) -> np.ndarray:
    """One image, [C, ...]: dynthres_core.py rewritten in numpy."""
    target, mimic = uncond + scale * (cond - uncond), uncond + s.mimic * (cond - uncond)
    channels = cond.shape[0]
    c, m = target.reshape(channels, -1), mimic.reshape(channels, -1)
    mean = c.mean(1, keepdims=True)
    c0, m0 = c - mean, m - m.mean(1, keepdims=True)
    axis = 1 if s.separate_channels else None
    if s.variability == "STD":
        kept, own = m0.std(axis=axis, keepdims=True), c0.std(axis=axis, keepdims=True)
        if not s.separate_channels:  # numpy subtracts the mean of all values; it is zero since every channel's is
            assert abs(c0.mean()) < 1e-9
    else:
        kept = np.abs(m0).max(axis=axis, keepdims=True)
        own = np.quantile(np.abs(c0), s.percentile, axis=axis, keepdims=True)
    if s.startpoint == "ZERO":
        out = c * (kept / own)
    elif s.variability == "STD":
        out = c0 / own * kept + mean
    else:
        most = np.maximum(kept, own)
        out = np.clip(c0, -most, most) / most * kept + mean
    return (s.phi * out + (1 - s.phi) * c).reshape(target.shape)


def test_cfg_by_hand():
    close(guide(torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 2.0]]), 7.0), [[15.0, -5.0]])


def test_cfg_is_a1111s_rule_bit_for_bit():
    cond, uncond = pair(0, 2, (4, 8, 8))
    expected = uncond.clone()
    expected += (cond - uncond) * (1.0 * 7.5)
    assert torch.equal(guide(cond, uncond, 7.5), expected)


def test_cfg_one_is_the_positive_itself():
    cond, uncond = pair(1, 1, (4, 8, 8))
    assert guide(cond, uncond, 1) is cond


def test_and_prompt_is_a1111s_sum():
    uncond, a, b = (latents(i, 1, 4, 8, 8) for i in range(3))
    expected = uncond + 7 * 1.0 * (a - uncond) + 7 * -0.4 * (b - uncond)
    close(guide(compose([a, b], [1.0, -0.4], uncond), uncond, 7.0), expected)
    assert compose([a], [1], uncond) is a


def test_and_prompt_wants_a_weight_for_each_part():
    with pytest.raises(ValueError, match="one weight for each"):
        compose([torch.zeros(1, 2)], [1.0, 2.0], torch.zeros(1, 2))


@given(SEEDS, SHAPES, st.floats(0.01, 1.0))
def test_rescale_reference(seed: int, shape: tuple[int, ...], phi: float):
    cond, guided = pair(seed, 2, shape)
    expected = [
        phi * g * (c.std() / g.std()) + (1 - phi) * g
        for c, g in zip(cond.double().numpy(), guided.double().numpy(), strict=True)
    ]
    close(rescale(guided, cond, Rescale(phi)), np.stack(expected))


def test_rescale_by_hand():
    close(rescale(torch.tensor([[-4.0, 4.0]]), torch.tensor([[-1.0, 1.0]]), Rescale(1.0)), [[-1.0, 1.0]])
    close(rescale(torch.tensor([[-4.0, 4.0]]), torch.tensor([[-1.0, 1.0]]), Rescale(0.5)), [[-2.5, 2.5]])


def test_rescale_zero_is_identity_and_flat_pictures_stay():
    flat = torch.full((1, 4, 8, 8), 3.0)
    assert rescale(flat, flat, Rescale(0.0)) is flat
    assert torch.equal(rescale(flat, latents(0, 1, 4, 8, 8), Rescale(1.0)), flat)


@given(SEEDS, SHAPES, THRESHOLDINGS)
def test_thresholding_reference(seed: int, shape: tuple[int, ...], settings: DynamicThresholding):
    cond, uncond = pair(seed, 2, shape)
    expected = [
        reference_threshold(c, u, 7.0, settings)
        for c, u in zip(cond.double().numpy(), uncond.double().numpy(), strict=True)
    ]
    close(threshold(cond, uncond, 7.0, settings), np.stack(expected))


def test_thresholding_by_hand():
    # C = 7 * [-1, 0, 1], M = 1 * [-1, 0, 1]: s = 7, so T = C / 7 and the mixture is 0.3 T + 0.7 C.
    cond, uncond = torch.tensor([[[-1.0, 0.0, 1.0]]]), torch.zeros(1, 1, 3)
    close(threshold(cond, uncond, 7.0, ARTICLE), [[[-5.2, 0.0, 5.2]]])


@given(SEEDS, st.sampled_from([4.0, 12.5]))
def test_thresholding_with_mimic_equal_to_scale_is_cfg(seed: int, scale: float):
    cond, uncond = pair(seed, 1, (4, 8, 8))
    assert torch.equal(threshold(cond, uncond, scale, DynamicThresholding(scale, 0.3)), guide(cond, uncond, scale))


def test_thresholding_phi_zero_is_cfg():
    cond, uncond = pair(3, 1, (4, 8, 8))
    assert torch.equal(threshold(cond, uncond, 9.0, DynamicThresholding(1.0, 0.0)), guide(cond, uncond, 9.0))


@given(THRESHOLDINGS)
def test_thresholding_flat_prediction_stays_finite(settings: DynamicThresholding):
    flat = torch.full((2, 4, 6, 6), 0.5)
    close(threshold(flat, flat, 7.0, settings), flat.numpy())
    single = torch.full((1, 2, 1, 1), 0.5)
    assert torch.isfinite(threshold(single, single + 1, 7.0, settings)).all()


@given(SEEDS, THRESHOLDINGS)
def test_thresholding_keeps_images_apart_where_peers_do_not(seed: int, settings: DynamicThresholding):
    quiet, loud = latents(seed, 1, 4, 6, 6), latents(seed + 9, 1, 4, 6, 6, spread=50.0)
    uncond = latents(seed + 5, 2, 4, 6, 6)
    together = threshold(torch.cat([quiet, loud]), uncond, 7.0, settings)
    assert torch.equal(together[:1], threshold(quiet, uncond[:1], 7.0, settings))
    assert torch.equal(together[1:], threshold(loud, uncond[1:], 7.0, settings))


@given(SEEDS, SHAPES, st.floats(0, 1), st.sampled_from([0.0, 0.5, 15.0]), st.sampled_from([0.0, -0.5]))
def test_apg_reference(seed: int, shape: tuple[int, ...], eta: float, limit: float, momentum: float):
    settings = Apg(eta, limit, momentum)
    cond, delta = pair(seed, 2, shape)
    before = latents(seed + 2, 2, *shape)
    found, carried = project(delta, cond, settings, before)
    for i in range(2):
        c, d = cond[i].double().numpy(), delta[i].double().numpy() + momentum * before[i].double().numpy()
        if momentum:
            assert carried is not None
            close(carried[i], d)
        if limit:
            d = d * min(1.0, limit / np.sqrt((d**2).sum()))
        parallel = (d * c).sum() / (c**2).sum() * c
        close(found[i], d - parallel + eta * parallel)


def test_apg_by_hand():
    update, _ = project(torch.tensor([[3.0, 4.0]]), torch.tensor([[2.0, 0.0]]), Apg(eta=0.0))
    close(update, [[0.0, 4.0]])
    update, _ = project(torch.tensor([[3.0, 4.0]]), torch.tensor([[2.0, 0.0]]), Apg(eta=0.5, norm_limit=1.0))
    close(update, [[0.3, 0.8]])


def test_apg_with_the_settings_of_cfg_is_identity():
    delta = latents(0, 2, 4, 8, 8)
    assert project(delta, latents(1, 2, 4, 8, 8), Apg(eta=1.0))[0] is delta


@given(st.sampled_from([Apg(0.0), Apg(0.5, 2.0), Apg(0.0, 2.0, -0.5)]))
def test_apg_zero_differences_and_zero_predictions(settings: Apg):
    zero, some = torch.zeros(2, 4, 3, 3), latents(0, 2, 4, 3, 3)
    assert torch.equal(project(zero, some, settings, zero)[0], zero)
    assert torch.isfinite(project(some, zero, settings, zero)[0]).all()


@given(SEEDS, SHAPES)
def test_batch_of_two_is_two_of_one(seed: int, shape: tuple[int, ...]):
    cond, other = pair(seed, 2, shape)
    both = [
        rescale(other, cond, Rescale(0.7)),
        project(other, cond, Apg(0.2, 0.9))[0],
        clamp(other, 6.0, NormClamp(0.1)),
        guide(cond, other, 7.0),
    ]
    for i in range(2):
        c, o = cond[i : i + 1], other[i : i + 1]
        alone = [
            rescale(o, c, Rescale(0.7)),
            project(o, c, Apg(0.2, 0.9))[0],
            clamp(o, 6.0, NormClamp(0.1)),
            guide(c, o, 7.0),
        ]
        for together, single in zip(both, alone, strict=True):
            close(together[i : i + 1], single.double().numpy(), 1e-6)


@given(SEEDS, SHAPES, st.floats(0.01, 2.0), st.floats(0.5, 30.0))
def test_clamp_limits_the_push(seed: int, shape: tuple[int, ...], limit: float, gain: float):
    delta = latents(seed, 2, *shape)
    found = clamp(delta, gain, NormClamp(limit)).double() * gain
    before = delta.double() * gain
    for i in range(2):
        size = float(before[i].square().mean().sqrt())
        close(found[i], (before[i] * min(1.0, limit / size)).numpy())


def test_clamp_by_hand_and_identities():
    delta = torch.tensor([[3.0, -3.0]])
    close(clamp(delta, 2.0, NormClamp(1.5)), [[0.75, -0.75]])
    assert torch.equal(clamp(delta, 2.0, NormClamp(6.0)), delta)
    assert clamp(delta, 2.0, NormClamp(math.inf)) is delta
    assert torch.equal(clamp(torch.zeros(2, 3), 2.0, NormClamp(0.1)), torch.zeros(2, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_are_kept(dtype: torch.dtype):
    cond, uncond = (tensor.to(dtype) for tensor in pair(0, 2, (4, 8, 8)))
    results = [
        rescale(uncond, cond, Rescale(0.5)),
        threshold(cond, uncond, 7.0, ARTICLE),
        project(uncond, cond, Apg(0.0, 1.0))[0],
        clamp(uncond, 7.0, NormClamp(0.1)),
    ]
    assert all(result.dtype == dtype and torch.isfinite(result).all() for result in results)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Rescale(1.5), "rescale phi is 1.5"),
        (lambda: Rescale(math.nan), "rescale phi is nan"),
        (lambda: Apg(eta=-1.0), "APG eta is -1.0"),
        (lambda: Apg(momentum=2.0), "APG momentum is 2.0"),
        (lambda: NormClamp(-0.1), "norm clamp limit is -0.1"),
        (lambda: DynamicThresholding(1.0, percentile=99.0), "percentile is 99.0"),
        (lambda: DynamicThresholding(1.0, variability="MAX"), "variability is 'MAX'; use AD or STD"),
        (lambda: DynamicThresholding(1.0, startpoint="x"), "startpoint is 'x'; use MEAN or ZERO"),
    ],
)
def test_values_out_of_range_are_named(build, words: str):
    with pytest.raises(ValueError, match=words):
        build()
