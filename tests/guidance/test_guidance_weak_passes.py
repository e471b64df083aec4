"""PAG, SEG, TPG, SAG, FreeU, and the attention that one batch needs for several of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from guidance_samples import SEEDS, close, latents
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention as attend

from lib_sticky.guidance.attention_rows import Attention, blur_rows, identity_rows
from lib_sticky.guidance.blur import gaussian
from lib_sticky.guidance.freeu import FreeU, backbone, is_identity, skip
from lib_sticky.guidance.pag import Pag
from lib_sticky.guidance.perturbed import push
from lib_sticky.guidance.sag import Sag, attention_mask, degrade, degraded_input
from lib_sticky.guidance.seg import Seg, blur_queries
from lib_sticky.guidance.token_grid import token_grid
from lib_sticky.guidance.tpg import Tpg, permutation, shuffle

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


def reference_blur(image: np.ndarray, sigma: float, taps: int) -> np.ndarray:
    """One map, pixel by pixel, mirrored without repeating the edge."""
    result = image
    for axis in (0, 1):
        size = image.shape[axis]
        half = min(taps, size + 1 - size % 2) // 2
        weights = np.array([math.exp(-0.5 * (o / sigma) ** 2) for o in range(-half, half + 1)])
        weights /= weights.sum()
        out = np.zeros_like(result)
        for i in range(size):
            for o, weight in zip(range(-half, half + 1), weights, strict=True):
                place = abs(i + o)
                place = 2 * (size - 1) - place if place >= size else place
                out_slice = [slice(None)] * 2
                in_slice = [slice(None)] * 2
                out_slice[axis], in_slice[axis] = i, place
                out[tuple(out_slice)] += weight * result[tuple(in_slice)]
        result = out
    return result


@given(SEEDS, SIZES, st.floats(0.2, 20.0), st.sampled_from([1, 3, 9, 61]))
def test_blur_reference(seed: int, size: tuple[int, int], sigma: float, taps: int):
    maps = latents(seed, 2, 3, *size)
    expected = [[reference_blur(channel, sigma, taps) for channel in image] for image in maps.double().numpy()]
    close(gaussian(maps, sigma, taps), np.array(expected))


def test_blur_limits():
    maps = latents(0, 1, 2, 6, 5)
    assert gaussian(maps, 0.0, 9) is maps
    close(gaussian(maps, math.inf, 1), maps.mean(dim=(-2, -1), keepdim=True).expand_as(maps).numpy())
    flat = torch.full((1, 1, 7, 4), 2.5)
    close(gaussian(flat, 2.0, 9), flat.numpy())


def test_blur_by_hand():
    # One row, 3 taps, weights 1/4, 1/2, 1/4 at the sigma for which exp(-1 / (2 sigma^2)) = 1/2.
    sigma = math.sqrt(1 / (2 * math.log(2)))
    close(gaussian(torch.tensor([[0.0, 4.0, 0.0, 0.0]]), sigma, 3), [[2.0, 2.0, 1.0, 0.0]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_blur_keeps_the_dtype(dtype: torch.dtype):
    assert gaussian(latents(0, 1, 2, 8, 8, dtype=dtype), 1.0, 7).dtype == dtype


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 4))
def test_token_grid_finds_the_unets_halvings(height: int, width: int, halvings: int):
    rows, columns = height, width
    for _ in range(halvings):
        rows, columns = math.ceil(rows / 2), math.ceil(columns / 2)
    assert token_grid(rows * columns, height, width) == (rows, columns)


def test_token_grid_refuses_what_is_no_map():
    with pytest.raises(ValueError, match="77 attention tokens are no halving of 64x64"):
        token_grid(77, 64, 64)
    with pytest.raises(ValueError, match="no halving"):
        token_grid(0, 64, 64)


def test_seg_blurs_the_map_of_the_queries():
    q = latents(0, 2, 12, 5)
    maps = q.reshape(2, 3, 4, 5).permute(0, 3, 1, 2)
    expected = gaussian(maps, 0.7, 5).permute(0, 2, 3, 1).reshape(2, 12, 5)
    assert torch.equal(blur_queries(q, (3, 4), 0.7), expected)
    heads = q.reshape(2, 12, 1, 5).transpose(1, 2)
    assert torch.equal(blur_queries(heads, (3, 4), 0.7), expected.unsqueeze(1))


def test_seg_infinite_is_the_mean_and_finite_is_not():
    q = latents(1, 1, 16, 3)
    close(blur_queries(q, (4, 4), math.inf), q.mean(dim=1, keepdim=True).expand_as(q).numpy())
    assert (blur_queries(q, (4, 4), 0.5) - q.mean(dim=1, keepdim=True)).abs().max() > 0.1
    assert blur_queries(q, (4, 4), 0.0) is q


def test_seg_infinite_makes_every_token_attend_alike():
    q, k, v = (latents(i, 1, 16, 8) for i in range(3))
    out = attend(blur_queries(q, (4, 4), math.inf), k, v)
    close(out, out[:, :1].expand_as(out).numpy())


def test_seg_frames_are_blurred_alone():
    frames = latents(2, 1, 24, 3)
    both = blur_queries(frames, (3, 4), 1.0)
    close(both[:, :12], blur_queries(frames[:, :12], (3, 4), 1.0).numpy(), 1e-6)
    close(both[:, 12:], blur_queries(frames[:, 12:], (3, 4), 1.0).numpy(), 1e-6)


@given(SEEDS, st.lists(st.sampled_from(Attention), min_size=1, max_size=5))
def test_rows_of_one_batch_are_what_they_would_be_alone(seed: int, kinds: list[Attention]):
    q, k, v = (latents(seed + i, len(kinds), 12, 4) for i in range(3))
    kept = [t.clone() for t in (q, k, v)]
    found = identity_rows(attend(blur_rows(q, kinds, (3, 4), 1.5), k, v), v, kinds)
    assert all(torch.equal(a, b) for a, b in zip(kept, (q, k, v), strict=True))
    for i, kind in enumerate(kinds):
        row = slice(i, i + 1)
        alone = {
            Attention.PLAIN: lambda row=row: attend(q[row], k[row], v[row]),
            Attention.IDENTITY: lambda row=row: v[row],
            Attention.BLURRED: lambda row=row: attend(blur_queries(q[row], (3, 4), 1.5), k[row], v[row]),
        }[kind]()
        close(found[row], alone.numpy(), 1e-6)


def test_plain_rows_are_handed_on_as_they_are():
    q = latents(0, 2, 12, 4)
    plain = [Attention.PLAIN] * 2
    assert blur_rows(q, plain, (3, 4), 1.5) is q
    assert identity_rows(q, q, plain) is q


def test_rows_want_a_kind_each():
    q = torch.zeros(2, 4, 3)
    with pytest.raises(ValueError, match="2 attention rows, but kinds for 1"):
        blur_rows(q, [Attention.PLAIN], (2, 2), 1.0)


def test_push_by_hand():
    close(push(torch.tensor([[3.0]]), torch.tensor([[1.0]]), 2.5), [[5.0]])


@given(st.integers(1, 300), st.integers(0, 100), st.integers(0, 30))
def test_tpg_shuffles_by_step_and_layer_alone(tokens: int, step: int, layer: int):
    order = permutation(tokens, step, layer)
    torch.manual_seed(step)
    assert torch.equal(order, permutation(tokens, step, layer))
    assert sorted(order.tolist()) == list(range(tokens))


def test_tpg_differs_between_steps_and_layers_and_keeps_norms():
    assert not torch.equal(permutation(64, 0, 1), permutation(64, 1, 0))
    hidden = latents(0, 2, 64, 8)
    mixed = shuffle(hidden, permutation(64, 3, 2))
    assert torch.equal(mixed[1], hidden[1][permutation(64, 3, 2)])
    close(mixed.norm(dim=(1, 2)), hidden.norm(dim=(1, 2)).numpy(), 1e-6)


def test_sag_mask_by_hand():
    # 2 heads, 4 tokens: all queries look at token 2, which receives 4; the others receive 0.
    attention = torch.zeros(1, 2, 4, 4)
    attention[..., 2] = 1.0
    mask = attention_mask(attention, 4, 4, 1.0)
    assert mask.shape == (1, 1, 4, 4)
    assert torch.equal(mask[0, 0], torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]).float())


def test_sag_even_attention_masks_nothing():
    assert attention_mask(torch.full((1, 1, 16, 16), 1 / 16), 8, 8, 1.0).sum() == 0


def test_sag_blurs_inside_the_mask_only():
    image, x = latents(0, 1, 4, 8, 8), latents(1, 1, 4, 8, 8)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    found = degrade(image, mask, 2.0)
    assert torch.equal(found[..., 4:], image[..., 4:])
    assert torch.equal(found[..., :4], gaussian(image, 2.0, 9)[..., :4])
    assert torch.equal(degrade(image, torch.zeros_like(mask), 2.0), image)
    close(degraded_input(x, image, found) - x, (found - image).numpy(), 1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4)])
def test_sag_small_latents_that_peers_skip(size: tuple[int, int]):
    assert torch.isfinite(degrade(latents(0, 1, 4, *size), torch.ones(1, 1, *size), 2.0)).all()


@given(SEEDS, st.tuples(st.integers(2, 9), st.integers(2, 9)), st.floats(0.0, 2.0))
def test_freeu_skip_is_the_masked_fft(seed: int, size: tuple[int, int], factor: float):
    features = latents(seed, 2, 3, *size)
    spectrum = np.fft.fftshift(np.fft.fft2(features.double().numpy()), axes=(-2, -1))
    row, column = size[0] // 2, size[1] // 2
    spectrum[..., row - 1 : row + 1, column - 1 : column + 1] *= factor
    expected = np.fft.ifft2(np.fft.ifftshift(spectrum, axes=(-2, -1))).real
    close(skip(features, factor), expected)


@given(SEEDS, st.floats(0.5, 2.0))
def test_freeu_backbone_reference(seed: int, factor: float):
    features = latents(seed, 2, 6, 4, 5)
    values = features.double().numpy()
    v1, v2 = values.copy(), values.copy()
    v1[:, :3] *= factor
    for i in range(2):
        mean = values[i].mean(0)
        strength = (mean - mean.min()) / (mean.max() - mean.min())
        v2[i, :3] *= (factor - 1) * strength + 1
    close(backbone(features, factor, 1), v1)
    close(backbone(features, factor, 2), v2)


def test_freeu_identity_flat_features_and_inputs_untouched():
    features = latents(0, 2, 6, 4, 4)
    assert backbone(features, 1.0, 2) is features
    assert skip(features, 1.0) is features
    flat = torch.full((1, 6, 4, 4), 2.0)
    assert torch.equal(backbone(flat, 1.3, 2), flat)
    kept = features.clone()
    backbone(features, 1.3, 1), backbone(features, 1.3, 2), skip(features, 0.2)
    assert torch.equal(features, kept)
    assert is_identity(FreeU(1, 1, 1, 1))
    assert not is_identity(FreeU(1, 1, 1, 0.9))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_freeu_keeps_the_dtype(dtype: torch.dtype):
    features = latents(0, 1, 6, 4, 4, dtype=dtype)
    assert backbone(features, 1.2, 1).dtype == backbone(features, 1.2, 2).dtype == skip(features, 0.4).dtype == dtype


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Pag(-1.0), "PAG scale is -1.0"),
        (lambda: Seg(sigma=-1.0), "SEG sigma is -1.0"),
        (lambda: Tpg(-3.0), "TPG scale is -3.0"),
        (lambda: Sag(threshold=-1.0), "SAG threshold is -1.0"),
        (lambda: FreeU(-1, 1, 1, 1), "FreeU b1 is -1"),
        (lambda: FreeU(1, 1, 1, 1, version=3), "FreeU version is 3; use 1 or 2"),
    ],
)
def test_values_out_of_range_are_named(build, words: str):
    with pytest.raises(ValueError, match=words):
        build()
