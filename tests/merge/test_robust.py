"""Methods of many models: hand-computed numbers, float64 references over whole tensors, symmetry, exact ranks."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from lib_sticky.merge import METHODS, RecipeError, magnitudes
from lib_sticky.merge.masks import FULL, uniform_bits
from lib_sticky.merge.methods.della import keep_chance
from lib_sticky.merge.methods.sparsification import Sparsification
from lib_sticky.merge.methods.ties import elected_signs
from lib_sticky.merge.operands import Form, Scratch
from lib_sticky.merge.sparse import SparseDeltas
from lib_sticky.merge.streams import BAND, GramSum

KEYS = {"w": (40, 30), "b": (11,), "big": (300, 301)}


def flat64(model: dict[str, torch.Tensor], key: str) -> torch.Tensor:
    return model[key].double().flatten()


def weiszfeld64(points: torch.Tensor, steps: int = 200) -> torch.Tensor:
    median = points.mean(0)
    for _ in range(steps):
        weights = 1 / (points - median).norm(dim=1).clamp(min=1e-6)
        median = (weights[:, None] * points).sum(0) / weights.sum()
    return median


def close(got: torch.Tensor, want: torch.Tensor) -> None:
    """Within half an fp16 step and what float32 inner products lose on the largest values."""
    spacing = torch.finfo(torch.float16).eps * want.abs().clamp(min=2.0**-14)
    assert ((got.double().flatten() - want).abs() <= 0.501 * spacing + 2e-6 * want.abs().max()).all()


def test_weiszfeld_finds_the_fermat_point() -> None:
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 3.0]], dtype=torch.float64)
    weights = METHODS["geometric_median"](points @ points.T, maxiter=1000)
    fermat = torch.tensor([2.0, 2.0 / math.sqrt(3.0)], dtype=torch.float64)
    torch.testing.assert_close(weights @ points, fermat, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("count", [1, 3, BAND + 1, 5 * BAND - 1])
def test_inner_products_of_pieces_are_those_of_the_whole(count: int) -> None:
    rows = torch.randint(-9, 10, (count, 700), generator=torch.Generator().manual_seed(count)).float()
    gram = GramSum(count, "cpu")
    for piece in rows.split(300, dim=1):
        gram.add(piece)
    assert torch.equal(gram.total(), rows.double() @ rows.double().T)


def test_geometric_median_against_float64(bench) -> None:
    paths, models = bench.models(6, KEYS)
    got = bench.method("geometric_median", paths)
    for key in KEYS:
        close(got[key], weiszfeld64(torch.stack([flat64(model, key) for model in models])))


def test_geometric_median_hardly_moves_for_an_outlier(bench) -> None:
    paths, models = bench.models(6, {"w": (50, 50)})
    wild = {"w": models[0]["w"] * 100}
    with_wild = bench.method("geometric_median", [*paths, bench.write("wild", wild)])["w"].double()
    average = bench.method("average", [*paths, str(bench.folder / "wild.safetensors")])["w"].double()
    calm = bench.method("geometric_median", paths)["w"].double()
    assert (with_wild - calm).norm() < 0.6 * calm.norm()
    assert (average - calm).norm() > 10 * calm.norm()


def karcher64(points: torch.Tensor) -> torch.Tensor:
    norms = points.norm(dim=1)
    units = points / norms[:, None]
    centre = units.mean(0) / units.mean(0).norm()
    for _ in range(100):
        cosine = (units @ centre).clamp(-1, 1)
        angle = cosine.acos()
        tangent = ((angle / angle.sin())[:, None] * (units - cosine[:, None] * centre)).mean(0)
        size = tangent.norm()
        if size < 1e-14:
            break
        centre = size.cos() * centre + size.sin() * tangent / size
    return centre * norms.mean()


def test_karcher_against_float64(bench) -> None:
    paths, models = bench.models(5, KEYS)
    got = bench.method("karcher", paths, {"maxiter": 100})
    for key in KEYS:
        want = karcher64(torch.stack([flat64(model, key) for model in models]))
        assert (got[key].double().flatten() - want).norm() < 2e-3 * want.norm()


def test_slerp_quarter_turn() -> None:
    gram = torch.tensor([[4.0, 0.0], [0.0, 16.0]], dtype=torch.float64)
    half = math.sqrt(0.5)
    assert METHODS["slerp"](gram).tolist() == pytest.approx([half / 2 * 3, half / 4 * 3])
    assert METHODS["nuslerp"](gram).tolist() == pytest.approx([half, half])
    same = torch.ones(2, 2, dtype=torch.float64)
    assert METHODS["slerp"](same, alpha=0.25).tolist() == [0.75, 0.25]


@pytest.mark.parametrize("alpha", [0.2, 0.5])
def test_slerp_against_float64(bench, alpha: float) -> None:
    paths, models = bench.models(2, KEYS)
    got = bench.method("slerp", paths, {"alpha": alpha})
    for key in KEYS:
        a, b = (flat64(model, key) for model in models)
        angle = torch.acos((a / a.norm()) @ (b / b.norm()))
        arc = torch.sin((1 - alpha) * angle) * a / a.norm() + torch.sin(alpha * angle) * b / b.norm()
        close(got[key], arc / torch.sin(angle) * torch.lerp(a.norm(), b.norm(), alpha))


def test_model_stock_by_hand() -> None:
    gram = torch.tensor([[1.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    assert METHODS["model_stock"](gram).tolist() == pytest.approx([1 / 3, 1 / 3])  # t = 2*.5/1.5
    assert METHODS["model_stock"](torch.eye(3, dtype=torch.float64)).tolist() == [0.0, 0.0, 0.0]
    assert METHODS["model_stock"](torch.ones(4, 4, dtype=torch.float64)).tolist() == [0.25] * 4


def test_perpendicular_by_hand() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([3.0, 5.0])
    both = torch.stack([a, b]).double()
    assert (METHODS["perpendicular"](both @ both.T) @ both).tolist() == [0.0, 5.0]


def test_vote_by_mass_and_by_count_differ_as_in_the_paper() -> None:
    changes = torch.tensor([[3.0, -1.0], [-1.0, 2.0], [-1.0, -0.5]])
    assert elected_signs(changes, "mass").tolist() == [1.0, 1.0]
    assert elected_signs(changes, "count").tolist() == [-1.0, -1.0]


def test_ties_by_hand(bench) -> None:
    base = bench.write("base", {"w": torch.zeros(2)})
    rows = [[3.0, -1.0], [-1.0, 2.0], [-1.0, -0.5]]
    paths = [bench.write(f"r{index}", {"w": torch.tensor(row)}) for index, row in enumerate(rows)]
    assert bench.method("ties", paths, {"density": 1.0}, base=base)["w"].tolist() == [3.0, 2.0]
    assert bench.method("ties_soup", paths, base=base)["w"].tolist() == [-1.0, -0.75]


def trim64(change: torch.Tensor, density: float) -> torch.Tensor:
    least = change.abs().kthvalue(max(int((1 - density) * change.numel()), 1))[0]
    return change * (change.abs() >= least)


@pytest.mark.parametrize("vote", ["mass", "count"])
@pytest.mark.parametrize("density", [0.2, 0.5, 1.0])
def test_ties_against_float64(bench, density: float, vote: str) -> None:
    paths, models = bench.models(5, KEYS)
    got = bench.method("ties", paths[1:], {"density": density, "vote": vote}, base=paths[0])
    for key in KEYS:
        start = flat64(models[0], key)
        changes = torch.stack([trim64(flat64(model, key) - start, density) for model in models[1:]])
        winner = (changes if vote == "mass" else changes.sign()).sum(0).sign()
        agreeing = (changes.sign() == winner) & (winner != 0)
        close(got[key], start + (changes * agreeing).sum(0) / agreeing.sum(0).clamp(min=1))


def dropped64(models, key: str, probability: float, spread: float, seed: int) -> torch.Tensor:
    start = flat64(models[0], key)
    rows = []
    for index, model in enumerate(models[1:]):
        change = flat64(model, key) - start
        count = change.numel()
        rank = torch.empty(count, dtype=torch.float64)
        rank[change.abs().argsort(stable=True)] = torch.arange(1, count + 1, dtype=torch.float64)
        chance = 1 - probability + spread * (rank / count - (count + 1) / (2 * count))
        draw = torch.from_numpy(uniform_bits(seed, key, index, 0, count).astype(np.int64))
        rows.append(change * (draw < (chance.clamp(0, 1) * FULL).round()))
    return torch.stack(rows)


@pytest.mark.parametrize(("method", "spread"), [("tgmd", 0.0), ("dgmla", -0.1)])
def test_tgmd_and_dgmla_are_their_definition_in_float64(bench, method: str, spread: float) -> None:
    keys = {"w": (40, 30), "b": (11,), "wide": (200, 301)}
    paths, models = bench.models(8, keys)
    params = {"probability": 0.1, "seed": 7}
    got = bench.method(method, paths[1:], params, base=paths[0])
    for key in keys:
        changes = dropped64(models, key, 0.1, spread, 7)
        winner = changes.sign().sum(0).sign()
        median = weiszfeld64(changes * (changes.sign() == winner))
        close(got[key], flat64(models[0], key) + median)


def test_ranks_are_those_of_the_whole_tensor_wherever_workers_cut_it(bench) -> None:
    keys = {"a": (511, 1001), "b": (200, 301)}  # The second lies across the first mebibyte of the file.
    paths, models = bench.models(4, keys)
    got = bench.method("dgmla", paths[1:], {"probability": 0.1, "epsilon": -0.3, "seed": 7}, base=paths[0])
    changes = dropped64(models, "b", 0.1, -0.3, 7)
    winner = changes.sign().sum(0).sign()
    close(got["b"], flat64(models[0], "b") + weiszfeld64(changes * (changes.sign() == winner)))


def test_dare_and_della_are_their_definition_in_float64(bench) -> None:
    keys = {"w": (40, 30)}
    paths, models = bench.models(4, keys)
    start = flat64(models[0], "w")
    dropped = dropped64(models, "w", 0.5, 0.0, 3)
    dare = bench.method("dare", paths[1:], {"probability": 0.5, "seed": 3}, base=paths[0])
    close(dare["w"], start + dropped.mean(0) / 0.5)
    dropped = dropped64(models, "w", 0.5, 0.2, 3)
    winner = dropped.sum(0).sign()
    agreeing = (dropped.sign() == winner) & (winner != 0)
    want = start + (dropped * agreeing).sum(0) / agreeing.sum(0).clamp(min=1) / 0.5
    close(bench.method("della", paths[1:], {"probability": 0.5, "seed": 3}, base=paths[0])["w"], want)


def test_a_tensor_that_many_workers_share_has_one_mask(bench) -> None:
    keys = {"w": (37, 33), "wide": (700, 1001)}
    paths, models = bench.models(3, keys)
    got = bench.method("dare", paths[1:], {"probability": 0.5, "seed": 3}, base=paths[0])
    for key in keys:
        close(got[key], flat64(models[0], key) + dropped64(models, key, 0.5, 0.0, 3).mean(0) / 0.5)


def test_breadcrumbs_keeps_the_middle(bench) -> None:
    base = bench.write("base", {"w": torch.zeros(100, dtype=torch.float32)})
    change = torch.arange(1.0, 101.0)
    path = bench.write("m", {"w": change})
    got = bench.method("breadcrumbs", [path], {"density": 0.5, "gamma": 0.1}, base=base)["w"]
    kept = got.nonzero().flatten() + 1
    assert (int(kept[0]), int(kept[-1])) == (40, 90)
    assert torch.equal(got[39:90], change[39:90])


class Held:
    def __init__(self, values: torch.Tensor) -> None:
        self.values = values
        self.read = 0

    def read_into(self, start: int, out: torch.Tensor, _: Scratch) -> None:
        self.read += out.numel()
        out.copy_(self.values[start : start + out.numel()])


def bounds_of(rows: list[Held], low: float) -> torch.Tensor:
    operand = SparseDeltas(
        Sparsification("mean", low=low), [Form({row: 1.0}) for row in rows], "k", len(rows[0].values)
    )
    operand.prepare(Scratch())
    return operand.bounds[:, 0]


def exact_bounds(rows: list[Held], low: float) -> torch.Tensor:
    values = torch.stack([row.values for row in rows])
    return values.abs().kthvalue(max(int(low * values.shape[1]), 1), dim=1)[0]


@pytest.mark.parametrize("count", [1, 5, 1000, 200_001, 700_001])
@pytest.mark.parametrize("low", [0.1, 0.8, 0.999])
def test_streamed_order_statistic_is_exact(count: int, low: float) -> None:
    values = torch.randn(2, count, generator=torch.Generator().manual_seed(count))
    values[1, : count // 2] = 0.25
    rows = [Held(row) for row in values]
    assert torch.equal(bounds_of(rows, low), exact_bounds(rows, low))


def test_a_threshold_costs_one_reading() -> None:
    rows = [Held(torch.randn(1_000_000, generator=torch.Generator().manual_seed(1)))]
    bounds_of(rows, 0.8)
    assert 1_000_000 < rows[0].read < 1_100_000


@pytest.mark.parametrize("room", [1000, 1 << 30])
def test_a_threshold_is_exact_where_the_sample_misleads_and_where_too_much_lies_near_it(
    monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(magnitudes, "ROOM", room)
    values = torch.rand(1_000_000, generator=torch.Generator().manual_seed(2))
    starts = torch.arange(magnitudes.BLOCKS) * (len(values) // magnitudes.BLOCKS)
    values[starts[:, None] + torch.arange(magnitudes.BLOCK)] += 5.0
    rows = [Held(values)]
    assert torch.equal(bounds_of(rows, 0.5), exact_bounds(rows, 0.5))
    assert rows[0].read > 2_000_000


def test_ranks_of_large_tensors_come_close_to_exact() -> None:
    count = 300_000
    values = torch.randn(count, generator=torch.Generator().manual_seed(1)) * 0.01
    spec = METHODS["dgmla"](epsilon=-0.1)
    operand = SparseDeltas(spec, [Form({Held(values): 1.0})], "k", count)
    operand.prepare(Scratch())
    rank = torch.empty(count, dtype=torch.float64)
    rank[values.abs().argsort()] = torch.arange(1, count + 1, dtype=torch.float64)
    exact = keep_chance(rank, count, 0.1, -0.1)
    room = torch.empty(count, dtype=torch.int32)
    got = torch.from_numpy(operand._chance(0, 0, values, room)).double() / FULL
    assert (got - exact).abs().max() < 2e-4


def test_masks_do_not_depend_on_the_pieces() -> None:
    whole = uniform_bits(5, "key", 3, 0, 10_000)
    cuts = [0, 16, 17, 640, 641, 643, 5000, 5004, 10_000]  # Workers cut where the file's pages end.
    parts = [uniform_bits(5, "key", 3, start, end - start) for start, end in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(uniform_bits(5, "key", 4, 0, 100), whole[:100])
    assert not np.array_equal(uniform_bits(6, "key", 3, 0, 100), whole[:100])
    assert abs(whole.mean() / FULL - 0.5) < 0.01


@pytest.mark.parametrize("method", ["geometric_median", "karcher", "average"])
def test_order_of_models_does_not_matter(bench, method: str) -> None:
    paths, _ = bench.models(5, KEYS)
    straight, turned = bench.method(method, paths), bench.method(method, [paths[0], *paths[:0:-1]])
    for key in KEYS:
        torch.testing.assert_close(turned[key], straight[key], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("method", ["geometric_median", "karcher", "average", "slerp", "nuslerp"])
def test_merging_a_model_with_itself_is_refused_as_without_effect(bench, method: str) -> None:
    from lib_sticky.merge import MergeError

    paths, models = bench.models(1)
    copy = bench.write("copy", models[0])
    with pytest.raises(MergeError, match="number for number"):
        bench.method(method, [paths[0], copy])


def test_zero_changes_give_the_base_and_no_nan(bench) -> None:
    paths, models = bench.models(1)
    other = {key: value.clone() for key, value in models[0].items()}
    other["text.b.weight"] = other["text.b.weight"] + 1
    second = bench.write("second", other)
    for method in ("ties", "della", "dgmla", "model_stock", "breadcrumbs"):
        got = bench.method(method, [second, second], base=paths[0])
        assert torch.equal(got["unet.a.bias"], models[0]["unet.a.bias"])


def test_methods_on_changes_ask_for_a_base(bench) -> None:
    paths, _ = bench.models(2)
    with pytest.raises(RecipeError, match="--base"):
        bench.method("ties", paths)
