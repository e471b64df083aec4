"""A LoRA on some rows is those rows run alone through a model that has it baked in; other rows stay as they are."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from lib_sticky.lora.branch import branch_of
from lib_sticky.lora.forms import bias_change, changes_weight, weight_change
from lib_sticky.lora.load import Strong, branches_of
from lib_sticky.lora.places import text_places, unet_places
from lib_sticky.lora.rows import RowBranches, Rows
from lib_sticky.merge.errors import CheckpointError

BATCH = 4


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


LAYERS = {
    "linear": (lambda: nn.Linear(8, 12), (5, 8)),
    "conv": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1), (4, 7, 5)),
    "pointwise": (lambda: nn.Conv2d(4, 6, 1), (4, 3, 3)),
    "group norm": (lambda: nn.GroupNorm(2, 4), (4, 3, 3)),
    "layer norm": (lambda: nn.LayerNorm(8), (5, 8)),
}
HADA = {f"hada_w{n}_{x}": rand(*shape, seed=n) for n in (1, 2) for x, shape in (("a", (12, 3)), ("b", (3, 8)))}
UP, DOWN, ALPHA = rand(12, 4), rand(4, 8), torch.tensor(2.0)
FORMS = {
    "LoRA": ("linear", {"lora_up.weight": UP, "lora_down.weight": DOWN, "alpha": ALPHA}),
    "LoRA written as a convolution": (
        "linear", {"lora_up.weight": UP[:, :, None, None], "lora_down.weight": DOWN[:, :, None, None]},
    ),
    "LoRA with a bias": ("linear", {"lora_up.weight": UP, "lora_down.weight": DOWN, "diff_b": rand(12)}),
    "LoHa": ("linear", {**HADA, "alpha": ALPHA}),
    "LoKr": ("linear", {"lokr_w1": rand(3, 2), "lokr_w2": rand(4, 4), "alpha": ALPHA}),
    "full": ("linear", {"diff": rand(12, 8, seed=3), "diff_b": rand(12)}),
    "bias alone": ("linear", {"diff_b": rand(12)}),
    "DoRA": ("linear", {"lora_up.weight": UP, "lora_down.weight": DOWN, "dora_scale": rand(1, 8).abs()}),
    "OFT": ("linear", {"oft_blocks": 0.1 * rand(3, 4, 4), "alpha": torch.tensor(100.0)}),
    "LoCon": ("conv", {"lora_up.weight": rand(6, 2, 1, 1), "lora_down.weight": rand(2, 4, 3, 3), "alpha": ALPHA}),
    "Tucker": (
        "conv",
        {"lora_up.weight": rand(6, 2, 1, 1), "lora_mid.weight": rand(2, 3, 3, 3), "lora_down.weight": rand(3, 4, 1, 1)},
    ),
    "full convolution": ("conv", {"diff": rand(6, 4, 3, 3), "diff_b": rand(6)}),
    "pointwise as a linear": ("pointwise", {"lora_up.weight": rand(6, 2), "lora_down.weight": rand(2, 4)}),
    "bias of a convolution": ("pointwise", {"diff_b": rand(6)}),
    "group norm": ("group norm", {"w_norm": rand(4), "b_norm": rand(4, seed=1)}),
    "layer norm": ("layer norm", {"w_norm": rand(8), "b_norm": rand(8, seed=1)}),
}  # fmt: skip


def layer_and_input(kind: str) -> tuple[nn.Module, torch.Tensor]:
    make, shape = LAYERS[kind]
    torch.manual_seed(5)
    layer = make().double()
    for parameter in layer.parameters():
        parameter.data = torch.randn_like(parameter)
    return layer, rand(BATCH, *shape, seed=7)


def baked(layer: nn.Module, module: dict[str, torch.Tensor], strength: float) -> nn.Module:
    layer = copy.deepcopy(layer)
    parameters = dict(layer.named_parameters())
    weight, bias = parameters["weight"].data, parameters["bias"].data
    if changes_weight(module):
        weight += strength * weight_change(module, tuple(weight.shape), weight.float(), "x").double()
    change = bias_change(module, tuple(bias.shape))
    if change is not None:
        bias += strength * change.double()
    return layer


@pytest.mark.parametrize("strength", [1.0, -0.5])
@pytest.mark.parametrize("form", FORMS)
def test_chosen_rows_are_those_of_the_baked_model_alone(form: str, strength: float) -> None:
    kind, module = FORMS[form]
    layer, x = layer_and_input(kind)
    plain, reference = layer(x), baked(layer, module, strength)
    hooked = RowBranches({layer: [branch_of(module, layer, strength, form)]}).attach()
    with torch.no_grad(), hooked.on(Rows.of([False, True, False, True])):
        got = layer(x)
    for row in range(BATCH):
        want = reference(x[row : row + 1]) if row in (1, 3) else layer(x[row : row + 1])
        torch.testing.assert_close(got[row : row + 1], want, rtol=2e-5, atol=2e-5)
    assert torch.equal(got[[0, 2]], plain[[0, 2]])
    hooked.remove()
    assert torch.equal(layer(x), plain)


def test_factors_are_exact_in_double_precision() -> None:
    layer, x = layer_and_input("linear")
    branch = branch_of({"lora_up.weight": UP, "lora_down.weight": DOWN, "alpha": ALPHA}, layer, 0.7, "x")
    torch.testing.assert_close(branch(x), 0.7 * 0.5 * x @ (UP @ DOWN).T, rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.booleans(), min_size=1, max_size=7), st.integers(1, 3))
def test_rows_are_found_again_where_pictures_are_cut_up(mask: list[bool], pieces: int) -> None:
    places = Rows.of(mask).within(len(mask) * pieces)
    marked = torch.zeros(len(mask) * pieces, dtype=torch.bool)
    for first, many in places:
        marked[first : first + many] = True
    assert marked.tolist() == [chosen for chosen in mask for _ in range(pieces)]


def test_rows_that_cannot_be_told_apart_are_an_error() -> None:
    with pytest.raises(ValueError, match="cannot tell them apart"):
        Rows.of([True, False]).within(3)


def test_nothing_acts_outside_of_on_and_without_rows() -> None:
    layer, x = layer_and_input("linear")
    plain = layer(x)
    hooked = RowBranches({layer: [branch_of(FORMS["LoRA"][1], layer, 1.0, "x")]}).attach()
    assert torch.equal(layer(x), plain)
    with hooked.on(Rows.of([False] * BATCH)):
        assert torch.equal(layer(x), plain)
    with torch.no_grad(), hooked.on(Rows.of([True] * BATCH)), hooked.on(Rows.of([False] * BATCH)):
        assert torch.equal(layer(x), plain)


@pytest.mark.parametrize("kind", ["linear", "pointwise"])
@pytest.mark.parametrize("number", [torch.float16, torch.bfloat16, torch.float64])
def test_rows_are_added_to_as_the_branch_says_in_every_number_format(kind: str, number: torch.dtype) -> None:
    form = {"linear": "LoRA", "pointwise": "pointwise as a linear"}[kind]
    layer, x = layer_and_input(kind)
    layer, x = layer.to(number), x.to(number)
    branch = branch_of(FORMS[form][1], layer, 0.5, "x")
    plain = layer(x)
    hooked = RowBranches({layer: [branch]}).attach()
    with torch.no_grad(), hooked.on(Rows.of([True, True, False, True])):
        got = layer(x)
    close = {"rtol": 2e-2, "atol": 0.15} if number is not torch.float64 else {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(got[[0, 1, 3]], (plain + branch(x))[[0, 1, 3]], **close)
    assert torch.equal(got[2], plain[2])


def test_autocast_and_outputs_that_do_not_lie_in_a_row_are_added_to_as_well() -> None:
    layer, x = layer_and_input("linear")
    layer, x = layer.float(), x.float()
    branch = branch_of(FORMS["LoRA"][1], layer, 0.5, "x")
    hooked = RowBranches({layer: [branch]}).attach()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), hooked.on(Rows.of([True, False, False, True])):
        got = layer(x)
    hooked.remove()
    assert got.dtype is torch.bfloat16
    torch.testing.assert_close(got[0].float(), (layer(x) + branch(x))[0], rtol=2e-2, atol=0.3)
    layer, x = layer_and_input("pointwise")
    layer, x = layer.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    branch = branch_of(FORMS["pointwise as a linear"][1], layer, 0.5, "x")
    plain = layer(x)
    assert not plain.is_contiguous()
    with torch.no_grad(), RowBranches({layer: [branch]}).attach().on(Rows.of([False, True, False, False])):
        torch.testing.assert_close(layer(x)[1], (plain + branch(x))[1], rtol=1e-10, atol=1e-10)


def test_gradients_pass_where_all_rows_are_chosen() -> None:
    layer, x = layer_and_input("linear")
    up = UP.clone().requires_grad_()
    hooked = RowBranches(
        {layer: [branch_of({"lora_up.weight": up, "lora_down.weight": DOWN}, layer, 1.0, "x")]}
    ).attach()
    with hooked.on(Rows.of([True] * BATCH)):
        layer(x).sum().backward()
    assert up.grad is not None and float(up.grad.abs().sum()) > 0


class TinyUnet(nn.Module):
    """The names of a diffusers UNet with one residual block a level."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(4, 8, 3, padding=1)
        level: Any = nn.Module()
        level.attentions = nn.ModuleList([nn.Module()])
        level.attentions[0].proj_in = nn.Linear(8, 8)
        level.resnets = nn.ModuleList([nn.Module()])
        level.resnets[0].conv1 = nn.Conv2d(8, 8, 3, padding=1)
        level.downsamplers = nn.ModuleList([nn.Module()])
        level.downsamplers[0].conv = nn.Conv2d(8, 8, 3)
        second: Any = nn.Module()
        second.resnets = nn.ModuleList([nn.Module()])
        second.resnets[0].time_emb_proj = nn.Linear(8, 8)
        self.down_blocks = nn.ModuleList([level, second])


def test_a_unet_goes_by_diffusers_and_ldm_names_whatever_its_depth() -> None:
    unet: Any = TinyUnet()
    places = unet_places(unet)
    assert places["lora_unet_down_blocks_0_attentions_0_proj_in"] is places["lora_unet_input_blocks_1_1_proj_in"]
    assert places["lora_unet_input_blocks_1_0_in_layers_2"] is unet.down_blocks[0].resnets[0].conv1
    assert places["lora_unet_input_blocks_2_0_op"] is unet.down_blocks[0].downsamplers[0].conv
    assert places["lora_unet_input_blocks_3_0_emb_layers_1"] is unet.down_blocks[1].resnets[0].time_emb_proj
    assert places["lora_unet_input_blocks_0_0"] is unet.conv_in


def test_a_text_encoder_goes_by_one_name_with_and_without_its_wrapper() -> None:
    inner = nn.Module()
    inner.encoder = nn.Module()
    inner.encoder.fc1 = nn.Linear(2, 2)
    outer = nn.Module()
    outer.text_model = inner
    assert (
        set(text_places(inner, "lora_te")) == set(text_places(outer, "lora_te")) == {"lora_te_text_model_encoder_fc1"}
    )


PLACES = {"lora_unet_a": nn.Linear(8, 12), "lora_unet_b": nn.Conv2d(4, 6, 3)}
GOOD = {"lora_unet_a.lora_up.weight": UP.float(), "lora_unet_a.lora_down.weight": DOWN.float()}


def written(folder: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file(tensors, folder / "wrong.safetensors")
    return folder / "wrong.safetensors"


def test_a_lora_is_found_its_layers_and_strength_0_adds_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    assert list(branches_of([Strong(path, 1.0), Strong(path, 0.5)], PLACES)) == [PLACES["lora_unet_a"]]
    (both,) = branches_of([Strong(path, 1.0), Strong(path, 0.5)], PLACES)[PLACES["lora_unet_a"]]
    x = rand(3, 8).float()
    torch.testing.assert_close(both(x), 1.5 * (x @ (UP @ DOWN).T.float()), rtol=1e-5, atol=1e-5)
    assert branches_of([Strong(path, 0.0)], PLACES) == {}


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({**GOOD, "lora_unet_b.diff": rand(6, 4, 2, 2)}, "wrong.safetensors: lora_unet_b does not fit"),
        ({**GOOD, "lora_unet_a.lora_down.weight": rand(4, 9)}, "lora_unet_a does not fit a weight of shape"),
        ({**GOOD, "lora_unet_a.lora_down.weight": rand(3, 8)}, "lora_unet_a does not fit"),
        ({**GOOD, "lora_unet_a.lora_up.weight": UP * float("nan")}, "no numbers; the file is damaged"),
        ({"lora_unet_a.lora_up.weight": UP, "lora_unet_a.alpha": ALPHA}, "lacks one of its two factors"),
        ({"lora_unet_a.what": UP}, "known forms are"),
        ({"lora_unet_double_blocks_0_img_attn_proj.diff": UP}, "wrong.safetensors is not for this model"),
        (
            {"lora_unet_b.lora_up.weight": rand(6, 2, 1, 1), "lora_unet_b.lora_down.weight": rand(2, 4, 5, 5)},
            "a kernel",
        ),
        ({"to_q.weight": UP}, "not a kohya or LyCORIS name"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, tensors: dict[str, torch.Tensor], told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        branches_of([Strong(written(tmp_path, tensors), 1.0)], PLACES)


def test_a_cut_off_file_is_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r"wrong\.safetensors"):
        branches_of([Strong(path, 1.0)], PLACES)
