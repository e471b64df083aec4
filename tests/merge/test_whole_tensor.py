"""Methods that see whole tensors or whole models: hand-computed numbers, identities, float64 references."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from lib_sticky.merge import METHODS, compose
from lib_sticky.merge.methods.assignment import best_assignment
from lib_sticky.merge.methods.cosine import similarity
from lib_sticky.merge.methods.smooth_add import gaussian, median3

UNET = "model.diffusion_model."


def test_train_difference_by_hand() -> None:
    a, b, c = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([3.0, 2.0, 5.0]), torch.tensor([2.0, 1.0, 5.0])
    got = METHODS["train_difference"](a, b, c)
    assert got.tolist() == pytest.approx([1 + 1.8 * 1 * 2 / 3, 2.0, 5.0])


def test_train_difference_streams_as_the_formula(bench) -> None:
    paths, models = bench.models(3)
    got = bench.method("train_difference", paths, {"alpha": 0.7})
    for key, value in got.items():
        a, b, c = (model[key].double() for model in models)
        away, learned = (b - a).abs(), (b - c).abs()
        want = a + 1.8 * 0.7 * torch.sign(b - c) * away / (learned + away) * learned
        torch.testing.assert_close(value.double(), want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(9,), (1,), (7, 12), (5, 4, 3, 3), (20, 1, 1, 1)])
def test_smoothing_is_scipys(shape) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    values = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(median3(values).numpy(), ndimage.median_filter(values.numpy(), size=3))
    np.testing.assert_allclose(gaussian(values).numpy(), ndimage.gaussian_filter(values.numpy(), 1), atol=1e-12)


def test_smoothing_by_hand() -> None:
    assert median3(torch.tensor([1.0, 9.0, 2.0, 3.0])).tolist() == [1.0, 2.0, 3.0, 3.0]
    flat = torch.full((3, 5), 2.0)
    torch.testing.assert_close(gaussian(flat), flat)
    spike = torch.zeros(9)
    spike[4] = 1.0
    assert gaussian(spike)[4].item() == pytest.approx(0.39894, abs=1e-4)


def test_tensor_sum_takes_rows_and_wraps() -> None:
    a, b = torch.zeros(4, 2), torch.ones(4, 2)
    rows = {(0.5, 0.0): [1, 1, 0, 0], (0.25, 0.5): [0, 0, 1, 0], (0.5, 0.75): [1, 0, 0, 1], (1.0, 0.0): [1, 1, 1, 1]}
    for (width, offset), want in rows.items():
        assert METHODS["tensor_sum"](a, b, width=width, offset=offset)[:, 0].tolist() == want
    assert METHODS["tensor_sum"](torch.tensor(1.0), torch.tensor(2.0), width=0.6).item() == 2.0


def test_isotropic_evens_singular_values_and_z_1_changes_nothing() -> None:
    change = torch.diag(torch.tensor([3.0, 1.0, 2.0]))
    torch.testing.assert_close(METHODS["isotropic"](change), 2.0 * torch.eye(3))
    torch.testing.assert_close(METHODS["isotropic"](change, z=1.0), change)
    torch.testing.assert_close(METHODS["isotropic"](change, z=2.0), torch.diag(torch.tensor([4.0, 0.0, 2.0])))
    kernel = torch.randn(4, 2, 3, 3)
    spectrum = torch.linalg.svdvals(METHODS["isotropic"](kernel, kernel).flatten(1))
    torch.testing.assert_close(spectrum, spectrum.mean().expand(4))


def test_truncate_rank_is_the_best_of_its_rank() -> None:
    generator = torch.Generator().manual_seed(0)
    u, v = torch.randn(60, 5, generator=generator), torch.randn(5, 40, generator=generator)
    torch.testing.assert_close(METHODS["truncate_rank"](u @ v, rank=5), u @ v, rtol=1e-4, atol=1e-4)
    noisy = torch.randn(30, 50, generator=generator)
    best = torch.linalg.svdvals(noisy)[10:].square().sum().sqrt()
    assert (METHODS["truncate_rank"](noisy, rank=10, iterations=4) - noisy).norm() < 1.02 * best
    assert not METHODS["truncate_rank"](noisy, rank=0).any()


@pytest.mark.parametrize("shape", [(8, 5), (5, 12), (6, 4, 3, 3), (7, 9, 1, 1)])
def test_rotate_finds_a_rotation_and_keeps_lengths(shape) -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(shape, generator=generator)
    flat = a.flatten(0, 1).flatten(1) if len(shape) == 4 and shape[-1] > 1 else a.flatten(1)
    turn = torch.linalg.qr(torch.randn(flat.shape[1], flat.shape[1], generator=generator)).Q
    b = (flat @ turn).view(shape)
    torch.testing.assert_close(METHODS["rotate"](a, b), b, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(METHODS["rotate"](a, b, alignment=0.0), a, rtol=1e-3, atol=1e-4)
    centred = a.flatten(1) - a.flatten(1).mean(0)
    half = METHODS["rotate"](a, b, alignment=0.5)
    if len(shape) == 2:
        assert (half - half.mean(0)).norm().item() == pytest.approx(centred.norm().item(), rel=1e-3)
    assert METHODS["rotate"](a[0].flatten(), b[0].flatten(), alpha=1.0).tolist() == b[0].flatten().tolist()


def test_extract_by_hand() -> None:
    base, a, b = torch.zeros(2, 2), torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    alike = METHODS["extract"](base, a, b, alpha=0.0, gamma=1.0)
    assert alike.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    apart = METHODS["extract"](base, a, b, alpha=0.0, beta=1.0)
    assert apart.tolist() == [[0.0, 0.0], [0.0, 1.0]]
    assert METHODS["extract"](base[0, 0], a[0, 0], b[0, 0]).item() == 1.0


def test_cosine_b_looks_at_all_keys_once(bench) -> None:
    paths, models = bench.models(2, {"w": (20, 300), "b": (9,), "first_stage_model.x": (4,)})
    got = bench.method("cosine_b", paths, {"alpha": 0.1})
    assert torch.equal(got["first_stage_model.x"], models[0]["first_stage_model.x"])
    pairs = {key: (models[0][key].double(), models[1][key].double()) for key in ("w", "b")}
    seen = np.concatenate([similarity(*pair, normalise=False).flatten().numpy() for pair in pairs.values()])
    low, high = np.percentile(seen, [1, 99])
    for key, (a, b) in pairs.items():
        keep = ((similarity(a, b, normalise=False) - low) / (high - low) - 0.1).clamp(0, 1)
        torch.testing.assert_close(got[key].double(), torch.lerp(b, a, keep), rtol=2e-3, atol=2e-3)


def test_assignment_is_the_best_of_all_orders() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 7):
        for _ in range(20):
            gain = rng.standard_normal((size, size))
            found = best_assignment(gain)
            assert sorted(found) == list(range(size))
            rows = np.arange(size)
            best = max(gain[rows, list(order)].sum() for order in itertools.permutations(range(size)))
            assert gain[rows, found].sum() == pytest.approx(best)


ATTENTION = f"{UNET}input_blocks.1.1.transformer_blocks.0.attn1."
FF = f"{UNET}input_blocks.1.1.transformer_blocks.0.ff.net."
CLIP = "cond_stage_model.transformer.text_model.encoder.layers.0."
REBASIN = {
    **{f"{ATTENTION}to_{name}.weight": (32, 20) for name in "qkv"},
    f"{ATTENTION}to_out.0.weight": (20, 32),
    f"{FF}0.proj.weight": (24, 10), f"{FF}0.proj.bias": (24,), f"{FF}2.weight": (10, 12), f"{FF}2.bias": (10,),
    f"{CLIP}mlp.fc1.weight": (14, 6), f"{CLIP}mlp.fc1.bias": (14,), f"{CLIP}mlp.fc2.weight": (6, 14),
    "resblocks.3.attn.in_proj_weight": (384, 16), "resblocks.3.attn.in_proj_bias": (384,),
    "resblocks.3.attn.out_proj.weight": (16, 128),
}  # fmt: skip


def shuffled(model: dict[str, torch.Tensor], seed: int) -> dict[str, torch.Tensor]:
    """Put heads and hidden units in another order, so that the network computes the same."""
    generator = torch.Generator().manual_seed(seed)
    heads, hidden, mlp, wide = (torch.randperm(count, generator=generator) for count in (8, 12, 14, 2))
    out = {key: value.clone() for key, value in model.items()}
    for name in "qkv":
        key = f"{ATTENTION}to_{name}.weight"
        out[key] = model[key].view(8, 4, 20)[heads].reshape(32, 20)
    out[f"{ATTENTION}to_out.0.weight"] = model[f"{ATTENTION}to_out.0.weight"].view(20, 8, 4)[:, heads].reshape(20, 32)
    out[f"{FF}0.proj.weight"] = model[f"{FF}0.proj.weight"].view(2, 12, 10)[:, hidden].reshape(24, 10)
    out[f"{FF}0.proj.bias"] = model[f"{FF}0.proj.bias"].view(2, 12)[:, hidden].reshape(24)
    out[f"{FF}2.weight"] = model[f"{FF}2.weight"][:, hidden]
    for part in ("weight", "bias"):
        out[f"{CLIP}mlp.fc1.{part}"] = model[f"{CLIP}mlp.fc1.{part}"][mlp]
    out[f"{CLIP}mlp.fc2.weight"] = model[f"{CLIP}mlp.fc2.weight"][:, mlp]
    for part, rest in (("weight", 16), ("bias", 1)):
        key = f"resblocks.3.attn.in_proj_{part}"
        out[key] = model[key].view(3, 2, 64, rest)[:, wide].reshape(model[key].shape)
    key = "resblocks.3.attn.out_proj.weight"
    out[key] = model[key].view(16, 2, 64)[:, wide].reshape(16, 128)
    return out


def test_rebasin_undoes_any_reordering(bench, make_model) -> None:
    model = make_model(0, REBASIN)
    paths = [bench.write("a", model), bench.write("b", shuffled(model, 5))]
    got, _ = bench.run(compose("git_rebasin", paths, {"alpha": 0.5}, dtype={"*": "fp32"}))
    assert not torch.equal(model[f"{FF}2.weight"], shuffled(model, 5)[f"{FF}2.weight"])
    for key, value in model.items():
        assert torch.equal(got[key], value.float()), key


@pytest.mark.parametrize("method", ["isotropic", "truncate_rank"])
def test_methods_on_changes_run_over_files(bench, method: str) -> None:
    paths, models = bench.models(2)
    got = bench.method(method, paths[1:], base=paths[0])
    assert all(torch.isfinite(value).all() and value.shape == models[0][key].shape for key, value in got.items())
