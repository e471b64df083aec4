"""The same tensors through diffusers' guiders and functions, to 1e-5, and the known errors of peers not repeated."""

from __future__ import annotations

import logging
import math

import pytest
import torch
from guidance_samples import SEEDS, close, latents
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lib_sticky.guidance import Pass, Selection, State, Step, combine, plan_step
from lib_sticky.guidance.apg import Apg
from lib_sticky.guidance.attention_rows import Attention, identity_rows
from lib_sticky.guidance.dynamic_thresholding import DynamicThresholding, threshold
from lib_sticky.guidance.freeu import backbone, skip
from lib_sticky.guidance.pag import Pag
from lib_sticky.guidance.rescale import Rescale
from lib_sticky.guidance.sag import attention_mask, degrade
from lib_sticky.guidance.seg import Seg, blur_queries

guiders = pytest.importorskip("diffusers.guiders")
logging.getLogger("diffusers.guiders.guider_utils").setLevel(logging.ERROR)
SCALES = st.sampled_from([1.0, 3.0, 7.5, 25.0])


def guided(selection: Selection, scale: float, found: dict[Pass, Tensor], state: State | None = None):
    cond = found[Pass.COND]
    return combine(selection, plan_step(selection, Step(5, 20, scale)), cond, found, state or State())


def at_step(guider, step: int = 5):
    guider.set_state(step, 20, None)
    return guider


def predictions(seed: int) -> dict[Pass, Tensor]:
    return {name: latents(seed + i, 2, 4, 8, 8) for i, name in enumerate(Pass)}


@given(SEEDS, SCALES, st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_cfg_and_rescale(seed: int, scale: float, phi: float):
    found = predictions(seed)
    guider = at_step(guiders.ClassifierFreeGuidance(guidance_scale=scale, guidance_rescale=phi))
    expected = guider.forward(found[Pass.COND], found[Pass.UNCOND]).pred
    close(guided(Selection(rescale=Rescale(phi)), scale, found).prediction, expected)


@given(SEEDS, SCALES, st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 2.5, 15.0]), st.booleans())
def test_apg(seed: int, scale: float, eta: float, limit: float, momentum: bool):
    # The paper's D_c + (w - 1) update is diffusers' "original formulation" at w - 1; its default, D_u + w update,
    # is another prediction for every eta but 1.
    guider = at_step(
        guiders.AdaptiveProjectedGuidance(
            guidance_scale=scale - 1,
            use_original_formulation=True,
            adaptive_projected_guidance_momentum=-0.5 if momentum else None,
            adaptive_projected_guidance_rescale=limit,
            eta=eta,
        )
    )
    if momentum:  # the buffer is made by prepare_inputs, on step 0
        guider.momentum_buffer = guiders.adaptive_projected_guidance.MomentumBuffer(-0.5)
    selection, state = Selection(apg=Apg(eta, limit, -0.5 if momentum else 0.0)), State()
    for step in range(3):
        found = predictions(seed + 10 * step)
        done = guided(selection, scale, found, state)
        state = done.state
        close(done.prediction, guider.forward(found[Pass.COND], found[Pass.UNCOND]).pred)


@given(SEEDS, SCALES, st.sampled_from([1.0, 2.8]), st.sampled_from([0.0, 0.5]))
def test_pag(seed: int, scale: float, pag: float, phi: float):
    found = predictions(seed)
    guider = at_step(
        guiders.PerturbedAttentionGuidance(
            guidance_scale=scale,
            perturbed_guidance_scale=pag,
            perturbed_guidance_start=0.0,
            perturbed_guidance_stop=1.0,
            perturbed_guidance_layers=0,
            guidance_rescale=phi,
        )
    )
    done = guided(Selection(pag=Pag(pag), rescale=Rescale(phi)), scale, found)
    # Without CFG diffusers weighs D_weak + s (D_c - D_weak): its s is ours plus 1 there.
    if scale == 1:
        guider.skip_layer_guidance_scale = pag + 1
    expected = guider.forward(found[Pass.COND], found[Pass.UNCOND], found[Pass.PAG]).pred
    close(done.prediction, expected)


@given(SEEDS, st.sampled_from([3.0, 7.5]))
def test_seg(seed: int, scale: float):
    found = predictions(seed)
    guider = at_step(
        guiders.SmoothedEnergyGuidance(
            guidance_scale=scale, seg_guidance_scale=2.0, seg_guidance_start=0.0, seg_guidance_stop=1.0,
            seg_guidance_layers=0,
        )
    )  # fmt: skip
    expected = guider.forward(found[Pass.COND], found[Pass.UNCOND], found[Pass.SEG]).pred
    close(guided(Selection(seg=Seg(scale=2.0)), scale, found).prediction, expected)


@given(SEEDS, st.sampled_from([2, 4, 8]), st.floats(0.3, 12.0))
def test_seg_blur_with_diffusers_branches_put_right(seed: int, side: int, sigma: float):
    module = pytest.importorskip("diffusers.hooks.smoothed_energy_guidance_utils")
    q = latents(seed, 2, side * side, 6)
    taps = math.ceil(6 * sigma) + 1 - math.ceil(6 * sigma) % 2
    # Its `is_inf` branch is the Gaussian, so a threshold below sigma asks for the blur, one above for the mean.
    close(blur_queries(q, (side, side), sigma), module._gaussian_blur_2d(q.clone(), taps, sigma, 0.0))
    close(blur_queries(q, (side, side), math.inf), module._gaussian_blur_2d(q.clone(), taps, sigma, 1e9))


@given(SEEDS, st.floats(0.1, 2.0), st.floats(0.5, 2.0))
def test_freeu(seed: int, s: float, b: float):
    functions = pytest.importorskip("diffusers.utils.torch_utils")
    hidden, skipped = latents(seed, 2, 6, 8, 12), latents(seed + 1, 2, 4, 8, 12)
    theirs, theirs_skip = functions.apply_freeu(0, hidden.clone(), skipped.clone(), b1=b, s1=s, b2=1.0, s2=1.0)
    close(backbone(hidden, b, 1), theirs)
    close(skip(skipped, s), theirs_skip)


def test_pag_attention_processor():
    processors = pytest.importorskip("diffusers.models.attention_processor")
    torch.manual_seed(0)
    layer = processors.Attention(query_dim=8, heads=2, dim_head=4).eval()
    hidden = latents(0, 4, 16, 8)  # two plain rows, then two perturbed ones
    with torch.no_grad():
        expected = processors.PAGIdentitySelfAttnProcessor2_0()(layer, hidden)
        values: list[Tensor] = []
        layer.to_v.register_forward_hook(lambda _module, _inputs, v: values.append(v))
        kinds = [Attention.PLAIN] * 2 + [Attention.IDENTITY] * 2
        layer.to_out[0].register_forward_pre_hook(lambda _, inputs: (identity_rows(inputs[0], values[-1], kinds),))
        close(layer(hidden), expected)


def test_sag_mask_and_blur():
    name = "diffusers.pipelines.deprecated.stable_diffusion_sag.pipeline_stable_diffusion_sag"
    try:
        module = pytest.importorskip(name)
    except RuntimeError as error:  # the file imports the whole pipeline machinery
        pytest.skip(str(error))
    image, weights = latents(0, 1, 4, 16, 16), latents(1, 2, 16, 16).softmax(-1)
    mask = attention_mask(weights.reshape(1, 2, 16, 16), 16, 16, 1.0)
    blurred = module.gaussian_blur_2d(image, kernel_size=9, sigma=1.0)
    received = weights.reshape(1, 2, 16, 16).mean(1).sum(1) > 1.0
    theirs = torch.nn.functional.interpolate(received.reshape(1, 1, 4, 4).float(), (16, 16))
    close(degrade(image, mask, 1.0), blurred * theirs + image * (1 - theirs))


def test_diffusers_pag_sits_out_step_zero_and_ours_does_not():
    guider = guiders.PerturbedAttentionGuidance(
        perturbed_guidance_start=0.0, perturbed_guidance_stop=1.0, perturbed_guidance_layers=0
    )
    assert not at_step(guider, 0)._is_slg_enabled()
    assert Pass.PAG in plan_step(Selection(pag=Pag(1.0)), Step(0, 20, 7.0)).passes


def test_incantations_bypass_of_thresholding_is_not_repeated():
    found = predictions(0)
    settings = DynamicThresholding(1.0, 0.3, separate_channels=False)
    both = guided(Selection(pag=Pag(1.0), dynamic_thresholding=settings), 3.0, found).prediction
    bypassed = guided(Selection(pag=Pag(1.0)), 3.0, found).prediction
    assert (both - bypassed).abs().max() > 0.1
    close(both, threshold(found[Pass.COND], found[Pass.UNCOND], 3.0, settings) + found[Pass.COND] - found[Pass.PAG])


def test_seg_asked_for_blurs_the_positive_not_the_negative():
    plan = plan_step(Selection(seg=Seg()), Step(0, 20, 7.0))
    assert plan.row(Pass.SEG).conditioning is Pass.COND
    assert plan.row(Pass.UNCOND).attention is Attention.PLAIN


def test_and_prompts_are_pushed_by_their_own_perturbed_rows():
    # incantations takes row i of the perturbed batch for image i; with AND the rows are parts, not images.
    from lib_sticky.guidance.cfg import compose

    parts, weak = [latents(i, 1, 4, 8, 8) for i in range(2)], [latents(i + 5, 1, 4, 8, 8) for i in range(2)]
    uncond, weights = latents(9, 1, 4, 8, 8), [1.0, 0.5]
    found = {
        Pass.COND: compose(parts, weights, uncond),
        Pass.UNCOND: uncond,
        Pass.PAG: compose(weak, weights, uncond),
    }
    expected = uncond + sum(w * (7 * (p - uncond) + 2 * (p - q)) for p, q, w in zip(parts, weak, weights, strict=True))
    close(guided(Selection(pag=Pag(2.0)), 7.0, found).prediction, expected)
