"""Linear methods: hand-computed numbers, float64 rounding bit for bit, block weights and rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib_sticky.merge import METHODS, RecipeError, compose
from lib_sticky.merge.block_weights import BlockWeights, from_numbers, parse_rule
from lib_sticky.merge.dtypes import cast_into, round_to_odd
from lib_sticky.merge.kernels import evaluate
from lib_sticky.merge.operands import Form, Scratch


class Held:
    """An operand over a tensor in memory."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = torch.from_numpy(values)

    def read_into(self, start: int, out: torch.Tensor, _: Scratch) -> None:
        out.copy_(self.values[start : start + out.numel()])


def all_halves(seed: int, count: int = 1 << 18) -> np.ndarray:
    bits = np.random.default_rng(seed).integers(0, 1 << 16, count).astype(np.uint16)
    halves = bits.view(np.float16)
    return np.where(np.isfinite(halves), halves, np.float16(0.5)).astype(np.float16)


def close_halves(seed: int, count: int = 1 << 18) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = (rng.standard_normal(count) * 0.02).astype(np.float16)
    return first, (first + rng.standard_normal(count) * 0.001).astype(np.float16)


@pytest.mark.parametrize("alpha", [0.5, 0.3, 0.7, 0.1, 1 / 3, 0.05, 1.5])
@pytest.mark.parametrize("pair", [(all_halves(1), all_halves(2)), close_halves(3)], ids=["any bits", "two fine-tunes"])
def test_sum_of_two_fp16_is_float64_rounded_once(alpha: float, pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    out = torch.empty(len(a), dtype=torch.float16)
    with np.errstate(over="ignore"):
        want = ((1 - alpha) * a.astype(np.float64) + alpha * b.astype(np.float64)).astype(np.float16)
    evaluate(Form({Held(a): 1 - alpha, Held(b): alpha}), 0, out, "F16", Scratch())
    np.testing.assert_array_equal(out.numpy(), want)


def test_half_and_half_from_files_is_float64_rounded_once(bench) -> None:
    a, b = all_halves(4), all_halves(5)
    paths = [bench.write(name, {"w": torch.from_numpy(values)}) for name, values in (("a", a), ("b", b))]
    got = bench.method("weighted_sum", paths)["w"].numpy()
    want = (0.5 * a.astype(np.float64) + 0.5 * b.astype(np.float64)).astype(np.float16)
    np.testing.assert_array_equal(got.view(np.uint16), want.view(np.uint16))


@given(st.floats(-1e5, 1e5), st.sampled_from(["F16", "BF16"]))
def test_round_to_odd_makes_the_second_rounding_harmless(value: float, code: str) -> None:
    exact = torch.tensor([value], dtype=torch.float64)
    single = exact.float()
    round_to_odd(exact, single, code)
    out = torch.empty(1, dtype=torch.float16 if code == "F16" else torch.bfloat16)
    cast_into(out, single, code)
    below, above = (torch.nextafter(out, torch.tensor([way], dtype=out.dtype)) for way in (-torch.inf, torch.inf))
    error = abs(float(out) - value)
    if np.isfinite(error):
        assert error <= abs(float(below) - value) and error <= abs(float(above) - value)


def test_fp16_midpoint_that_float32_loses_goes_the_right_way() -> None:
    midpoint = 1 + 2.0**-11
    exact = torch.tensor([midpoint + 2.0**-40, midpoint - 2.0**-40, midpoint], dtype=torch.float64)
    single = exact.float()
    assert single.unique().numel() == 1
    round_to_odd(exact, single, "F16")
    assert single.half().tolist() == [1 + 2.0**-10, 1.0, 1.0]


CASES = [
    ("weighted_sum", {"alpha": 0.25}, lambda a, b, _: 0.75 * a + 0.25 * b, 2),
    ("average", {}, lambda a, b, c: (a + b + c) / 3, 3),
    ("add_difference", {"alpha": 0.7}, lambda a, b, c: a + 0.7 * (b - c), 3),
    ("sum_twice", {"alpha": 0.3, "beta": 0.6}, lambda a, b, c: 0.4 * (0.7 * a + 0.3 * b) + 0.6 * c, 3),
    ("triple_sum", {"alpha": 0.2, "beta": 0.5}, lambda a, b, c: 0.3 * a + 0.2 * b + 0.5 * c, 3),
]


@pytest.mark.parametrize(("method", "params", "formula", "count"), CASES, ids=[case[0] for case in CASES])
def test_method_is_its_formula_in_float64(bench, method, params, formula, count) -> None:
    paths, models = bench.models(count)
    got = bench.method(method, paths, params)
    for key, value in got.items():
        a, b, c = ([model[key].double() for model in models] + [None])[:3]
        want = formula(a, b, c)
        assert value.dtype == torch.float16
        spacing = torch.finfo(torch.float16).eps * want.abs().clamp(min=2.0**-14)
        assert ((value.double() - want).abs() <= spacing * 0.5001).all()


def test_formulas_work_on_plain_numbers() -> None:
    one, three, seven = (torch.tensor([value], dtype=torch.float64) for value in (1.0, 3.0, 7.0))
    assert METHODS["weighted_sum"](one, three).item() == 2.0
    assert METHODS["average"](one, three, seven).item() == pytest.approx(11 / 3)
    assert METHODS["add_difference"](one, three, seven, alpha=0.5).item() == -1.0
    assert METHODS["sum_twice"](one, three, seven).item() == 4.5
    assert METHODS["triple_sum"](one, three, seven, alpha=0.5, beta=0.5).item() == 5.0


def test_uniform_average_is_not_a_chain_of_halves(bench) -> None:
    paths, models = bench.models(3)
    key = "unet.a.bias"
    got = bench.method("average", paths)[key].double()
    chained = (models[0][key].double() / 2 + models[1][key].double() / 2) / 2 + models[2][key].double() / 2
    assert (got - chained).abs().max() > 0.1


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(4)))
def test_average_does_not_depend_on_the_order(bench, order) -> None:
    paths, _ = bench.models(4)
    straight, mixed = bench.method("average", paths), bench.method("average", [paths[index] for index in order])
    for key, value in straight.items():
        torch.testing.assert_close(mixed[key], value, rtol=2e-3, atol=0)


def test_alpha_zero_and_one_are_the_inputs_bit_for_bit(bench) -> None:
    paths, models = bench.models(2)
    for alpha, model in ((0.0, models[0]), (1.0, models[1])):
        got = bench.method("weighted_sum", paths, {"alpha": alpha})
        assert all(torch.equal(got[key], value) for key, value in model.items())


@pytest.mark.parametrize("code", ["fp32", "fp16", "bf16", "fp8_e4m3fn", "fp8_e5m2"])
def test_every_output_format(bench, code) -> None:
    paths, models = bench.models(2)
    torch_dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}.get(
        code, torch.float8_e4m3fn if code == "fp8_e4m3fn" else torch.float8_e5m2
    )
    got = bench.method("weighted_sum", paths, {"alpha": 0.3}, dtype={"*": code})
    for key, value in got.items():
        want = 0.7 * models[0][key].double() + 0.3 * models[1][key].double()
        assert value.dtype == torch_dtype
        rounded_twice = want.float().to(torch_dtype).double()
        assert ((value.double() - want).abs() <= (rounded_twice - want).abs()).all()


WIDE, FP8 = [torch.bfloat16, torch.float32, torch.float64], [torch.float8_e4m3fn, torch.float8_e5m2]


@pytest.mark.parametrize("dtype", WIDE + FP8)
def test_every_input_format(bench, dtype) -> None:
    paths, models = bench.models(2, dtype=dtype)
    got = bench.method("weighted_sum", paths, {"alpha": 0.25}, dtype={"*": "fp32"})
    for key, value in got.items():
        want = 0.75 * models[0][key].double() + 0.25 * models[1][key].double()
        torch.testing.assert_close(value, want.float(), rtol=1e-7, atol=0)


def test_fp8_saturates_instead_of_turning_into_nan(bench) -> None:
    paths = [bench.write(name, {"w": torch.tensor([600.0, 1000.0, -900.0])}) for name in "ab"]
    other = bench.write("c", {"w": torch.tensor([500.0, 600.0, -800.0])})
    got = bench.method("weighted_sum", [paths[0], other], {}, dtype={"*": "fp8_e4m3fn"})["w"]
    assert got.float().tolist() == [448.0, 448.0, -448.0]


UNET = "model.diffusion_model."
SD1 = {
    f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    f"{UNET}input_blocks.1.1.transformer_blocks.0.ff.net.0.proj.weight": (6, 5),
    f"{UNET}time_embed.0.weight": (4, 4),
    f"{UNET}middle_block.1.proj_in.weight": (4, 4),
    f"{UNET}output_blocks.3.0.in_layers.0.weight": (7,),
    f"{UNET}out.0.weight": (5,),
    "cond_stage_model.transformer.text_model.final_layer_norm.weight": (9,),
    "first_stage_model.decoder.conv_in.bias": (3,),
}


def test_26_block_weights_reach_their_blocks(bench) -> None:
    paths, models = bench.models(2, SD1)
    numbers = [index / 26 for index in range(26)]
    got = bench.method("weighted_sum", paths, {"alpha": from_numbers(numbers)})
    expected = {"input_blocks.1.": 2, "time_embed": 1, "middle_block": 13, "output_blocks.3.": 17, "out.0": 25}
    for key, value in got.items():
        alpha = numbers[next((number for part, number in expected.items() if f"{UNET}{part}" in key), 0)]
        want = (1 - alpha) * models[0][key].double() + alpha * models[1][key].double()
        torch.testing.assert_close(value.double(), want, rtol=1e-3, atol=1e-4)


def test_last_rule_wins_and_not_inverts() -> None:
    from lib_sticky.merge.architectures import load

    rules = (parse_rule("IN00-IN03:attn2:0.3"), parse_rule(":NOT weight:0.9"), parse_rule("M00::0.1"))
    weights = BlockWeights(0.5, {"OUT03": 0.7}, rules)
    sd1 = load("sd1")
    keys = list(SD1)
    assert [weights.at(key, sd1) for key in keys] == [0.3, 0.5, 0.5, 0.1, 0.7, 0.5, 0.5, 0.9]


@pytest.mark.parametrize("bad", ["IN00:attn1", "IN00-OUT03:x:0.1", "IN00:re:(:0.1", "::"])
def test_malformed_rule_is_refused(bad: str) -> None:
    with pytest.raises(RecipeError):
        parse_rule(bad)


@pytest.mark.parametrize("count", [1, 18, 24, 27])
def test_a_list_of_the_wrong_length_is_refused(count: int) -> None:
    with pytest.raises(RecipeError, match="block weights"):
        from_numbers([0.5] * count)


def test_unknown_method_parameter_and_range_are_named(bench) -> None:
    paths, _ = bench.models(2)
    for params, words in (({"alfa": 1.0}, "alfa"), ({"alpha": 9.0}, "from -1.0 to 2.0"), ({"alpha": "x"}, "float")):
        with pytest.raises(RecipeError, match=words):
            bench.method("weighted_sum", paths, params)
    with pytest.raises(RecipeError, match="no method"):
        compose("weighted_sun", paths, {})
    with pytest.raises(RecipeError, match="takes a, b"):
        bench.method("weighted_sum", paths[:1])
