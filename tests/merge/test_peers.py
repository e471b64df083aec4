"""The same inputs through sd-mecha, where it is installed: equal where both mean the same, named where they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lib_sticky.merge import METHODS
from lib_sticky.merge.methods.ties import elected_signs

from .conftest import random_model

sd_mecha = pytest.importorskip("sd_mecha")
KEYS = {"w": (40, 30), "conv": (6, 5, 3, 3)}


def peer(name: str, *inputs: torch.Tensor, **params: object) -> torch.Tensor:
    """Call an sd-mecha method on float64 tensors, without its engine."""
    method = sd_mecha.extensions.merge_methods.resolve(name)
    return method.__wrapped__(*(value.clone() for value in inputs), **params)


def through(bench, name: str, count: int, params: dict, base: bool = False):
    paths, models = bench.models(count, KEYS, torch.float32)
    got = bench.method(name, paths[base:], params, base=paths[0]) if base else bench.method(name, paths, params)
    return got, [{key: value.double() for key, value in model.items()} for model in models]


def near(got: torch.Tensor, want: torch.Tensor) -> None:
    torch.testing.assert_close(got.double(), want.double(), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("alpha", [0.2, 0.5])
def test_slerp(bench, alpha: float) -> None:
    got, models = through(bench, "slerp", 2, {"alpha": alpha})
    for key in KEYS:
        near(got[key], peer("slerp", models[0][key], models[1][key], alpha=torch.tensor(alpha, dtype=torch.float64)))


def test_geometric_median(bench) -> None:
    got, models = through(bench, "geometric_median", 6, {})
    for key in KEYS:
        near(got[key], peer("geometric_median", *(model[key] for model in models)))


@pytest.mark.parametrize("density", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("vote", ["mass", "count"])
def test_ties(bench, density: float, vote: str) -> None:
    got, models = through(bench, "ties", 4, {"density": density, "vote": vote}, base=True)
    for key in KEYS:
        changes = [(model[key].float() - models[0][key].float()).double() for model in models[1:]]
        near(got[key], models[0][key] + peer("ties_sum", *changes, k=density, vote_sgn=vote == "mass"))


def test_rotate(bench) -> None:
    got, models = through(bench, "rotate", 2, {"alignment": 1.0})
    for key in KEYS:
        first, second = ({key: model[key]} for model in models)
        method = sd_mecha.extensions.merge_methods.resolve("rotate").__wrapped__
        want = method(first, second, alignment=1.0, alpha=torch.tensor(0.0), key=key, cache=None)
        torch.testing.assert_close(got[key].double(), want, rtol=1e-4, atol=1e-4)


def test_perpendicular_and_tensor_sum_and_truncate_rank() -> None:
    a, b = (random_model(seed, KEYS, torch.float64)["w"] for seed in (1, 2))
    flat = torch.stack([a.flatten(), b.flatten()])
    mine = (METHODS["perpendicular"](flat @ flat.T) @ flat).view_as(a)
    near(mine, peer("perpendicular_component", a, b))
    for width, offset in ((0.3, 0.2), (0.5, 0.75), (1.0, 0.0)):
        want = peer("tensor_sum", a, b, width=width, offset=offset)
        assert torch.equal(METHODS["tensor_sum"](a, b, width=width, offset=offset), want)
    ours = METHODS["truncate_rank"](a, rank=10, iterations=20)
    exact = peer("truncate_rank", a, rank=10, use_approximate_basis=False)
    torch.testing.assert_close(ours, exact, rtol=1e-3, atol=1e-3)


def test_train_difference_is_the_mask_times_the_difference() -> None:
    a, b, c = (random_model(seed, KEYS, torch.float64)["w"] for seed in (1, 2, 3))
    mask = peer("train_difference_mask", a, b, c, alpha=torch.tensor(0.7, dtype=torch.float64))
    near(METHODS["train_difference"](a, b, c, alpha=0.7), a + mask * (b - c))


def errors(want: dict[str, torch.Tensor], *files: Path) -> list[float]:
    """Each file's distance to float64 numbers, all tensors together."""
    found = []
    for file in files:
        got = load_file(file)
        found.append(sum(float((got[key].double() - value).square().sum()) for key, value in want.items()) ** 0.5)
    return found


def weiszfeld64(points: torch.Tensor) -> torch.Tensor:
    median = points.mean(0)
    for _ in range(100):
        weights = 1 / (points - median).norm(dim=1).clamp(min=1e-6)
        median = (weights[:, None] * points).sum(0) / weights.sum()
    return median


@pytest.mark.parametrize("method", ["geometric_median", "ties"])
def test_fp16_files_come_out_no_farther_from_float64_than_there(bench, method: str) -> None:
    """Eight fp16 models (TIES: changes from a ninth) through both engines, whole, to fp16 files."""
    keys = {f"model.diffusion_model.{name}": shape for name, shape in KEYS.items()}
    start = random_model(99, keys, torch.float32)
    noise = [random_model(seed, keys, torch.float32) for seed in range(9)]
    models = [{key: (value + 0.05 * each[key]).half() for key, value in start.items()} for each in noise]
    paths = [bench.write(f"m{index}", model) for index, model in enumerate(models)]
    double = [{key: value.double() for key, value in model.items()} for model in models]
    nodes = [sd_mecha.model(path) for path in paths]
    if method == "ties":
        bench.method("ties", paths[1:], {"density": 0.5}, base=paths[0])
        changes = [sd_mecha.subtract(node, nodes[0]) for node in nodes[1:]]
        # The public add_difference of 1.1.8 does not take a change.
        add = sd_mecha.extensions.builtin.merge_methods.linear.add_difference
        peers = add(nodes[0], sd_mecha.ties_sum(*changes, k=0.5, vote_sgn=True), alpha=1.0)
        want = {key: double[0][key] + peer("ties_sum", *(model[key] - double[0][key] for model in double[1:]), k=0.5,
                                           vote_sgn=True) for key in keys}  # fmt: skip
    else:
        bench.method("geometric_median", paths[1:])
        peers = sd_mecha.geometric_median(*nodes[1:])
        rows = {key: torch.stack([model[key].flatten() for model in double[1:]]) for key in keys}
        want = {key: weiszfeld64(rows[key]).view(keys[key]) for key in keys}
    there = bench.folder / "there.safetensors"
    sd_mecha.merge(peers, output=there, merge_device="cpu", output_dtype=torch.float16, threads=1,
                   strict_mandatory_keys=False, check_extra_keys=False)  # fmt: skip
    ours, theirs = errors(want, bench.folder / "out.safetensors", there)
    print(f"{method}: {ours:.9f} here, {theirs:.9f} there")
    assert 0 < ours <= theirs


def test_where_the_two_differ_on_purpose() -> None:
    """The default vote is the paper's here and a count of signs there; Model Stock is per tensor here, by row there."""
    changes = torch.tensor([[3.0, -1.0], [-1.0, 2.0], [-1.0, -0.5]])
    assert peer("ties_sum", *changes, k=1.0).tolist() == [-1.0, -0.75]
    assert METHODS["ties"]().vote == "mass"
    assert elected_signs(changes, "mass").tolist() == [1.0, 1.0]
    rows = [random_model(seed, KEYS, torch.float64)["w"] for seed in (1, 2, 3)]
    flat = torch.stack([row.flatten() for row in rows])
    mine = (METHODS["model_stock"](flat @ flat.T) @ flat).view_as(rows[0])
    assert not torch.allclose(mine, peer("model_stock", *rows), atol=1e-2)
