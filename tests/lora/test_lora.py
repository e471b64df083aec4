"""LoRA forms against their definitions, names against the checkpoint's, exact and reduced sums, extraction."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_sticky.lora.combine import combine
from lib_sticky.lora.extract import extract
from lib_sticky.lora.forms import weight_change
from lib_sticky.lora.names import diffusers_name, slots_of
from lib_sticky.merge import CheckpointError, Folders, MergeError, Options, RecipeError, compose, merge

UNET = "model.diffusion_model."
Q = f"{UNET}input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
K2 = f"{UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"  # Its shape says SD1.
CONV = f"{UNET}output_blocks.2.1.conv.weight"
CLIP = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1."
SHAPES = {Q: (12, 8), K2: (320, 768), CONV: (6, 4, 3, 3), f"{CLIP}weight": (10, 7), f"{CLIP}bias": (10,)}
Q_NAME = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
CONV_NAME = "lora_unet_up_blocks_0_upsamplers_0_conv"
CLIP_NAME = "lora_te_text_model_encoder_layers_0_mlp_fc1"


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


@pytest.fixture
def base(tmp_path: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    tensors = {key: rand(*shape, seed=9) for key, shape in SHAPES.items()}
    save_file(tensors, tmp_path / "base.safetensors")
    return tmp_path / "base.safetensors", tensors


def bake(folder: Path, name: str, module: dict[str, torch.Tensor], strength: float = 1.0) -> dict[str, torch.Tensor]:
    save_file({f"{name}.{part}": value for part, value in module.items()}, folder / "l.safetensors")
    loras = [(str(folder / "l.safetensors"), strength)]
    recipe = compose("average", [str(folder / "base.safetensors")], {}, loras=loras)
    merge(recipe, folder / "out.safetensors", Folders(), Options(overwrite=True))
    return load_file(folder / "out.safetensors")


def kron64(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ab,cd...->acbd...", first.double(), second.double()).flatten(0, 1).flatten(1, 2)


UP, DOWN, ALPHA = rand(12, 4), rand(4, 8), torch.tensor(2.0)
PLAIN = {"lora_up.weight": UP, "lora_down.weight": DOWN}
HADA = {f"hada_w{n}_{x}": rand(*shape, seed=n) for n in (1, 2) for x, shape in (("a", (12, 3)), ("b", (3, 8)))}
FORMS = {
    "LoRA": ({**PLAIN, "alpha": ALPHA}, lambda _: 0.5 * UP.double() @ DOWN.double()),
    "no alpha": (PLAIN, lambda _: UP.double() @ DOWN.double()),
    "LoHa": (
        {**HADA, "alpha": ALPHA},
        lambda _: 2 / 3 * (HADA["hada_w1_a"] @ HADA["hada_w1_b"]) * (HADA["hada_w2_a"] @ HADA["hada_w2_b"]),
    ),
    "LoKr": ({"lokr_w1": rand(3, 2), "lokr_w2": rand(4, 4), "alpha": ALPHA}, lambda _: kron64(rand(3, 2), rand(4, 4))),
    "LoKr low rank": (
        {"lokr_w1": rand(3, 2), "lokr_w2_a": rand(4, 2), "lokr_w2_b": rand(2, 4), "alpha": ALPHA},
        lambda _: kron64(rand(3, 2), rand(4, 2) @ rand(2, 4)),
    ),
    "full diff": ({"diff": rand(12, 8, seed=3)}, lambda _: rand(12, 8, seed=3)),
    "DoRA": (
        {"lora_up.weight": UP, "lora_down.weight": DOWN, "dora_scale": rand(1, 8).abs()},
        lambda w: (w + UP @ DOWN) / (w + UP @ DOWN).norm(dim=0, keepdim=True) * rand(1, 8).abs() - w,
    ),
    "DoRA on outputs": (
        {"lora_up.weight": UP, "lora_down.weight": DOWN, "dora_scale": rand(12, 1).abs()},
        lambda w: (w + UP @ DOWN) / (w + UP @ DOWN).norm(dim=1, keepdim=True) * rand(12, 1).abs() - w,
    ),
}


@pytest.mark.parametrize("strength", [1.0, -0.5])
@pytest.mark.parametrize("form", FORMS)
def test_baking_a_linear_module(base, tmp_path: Path, form: str, strength: float) -> None:
    module, change = FORMS[form]
    got = bake(tmp_path, Q_NAME, module, strength)
    want = base[1][Q].double() + strength * change(base[1][Q].double())
    torch.testing.assert_close(got[Q].double(), want, rtol=1e-5, atol=1e-5)
    assert all(torch.equal(got[key], value) for key, value in base[1].items() if key != Q)


def test_oft_turns_rows_without_changing_lengths(base, tmp_path: Path) -> None:
    blocks = 0.1 * rand(3, 4, 4)
    got = bake(tmp_path, Q_NAME, {"oft_blocks": blocks, "alpha": torch.tensor(100.0)})[Q]
    skew = blocks - blocks.transpose(1, 2)
    turn = (torch.eye(4) + skew) @ torch.linalg.inv(torch.eye(4) - skew)
    want = torch.einsum("knm,knp->kmp", turn, base[1][Q].view(3, 4, 8)).reshape(12, 8)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got.view(3, 4, 8).norm(dim=1), base[1][Q].view(3, 4, 8).norm(dim=1))
    limited = bake(tmp_path, Q_NAME, {"oft_blocks": blocks, "alpha": torch.tensor(0.001)})[Q]
    assert (limited - base[1][Q]).norm() < 0.2 * (got - base[1][Q]).norm()


CONV_FORMS = {
    "LoCon": ({"lora_up.weight": rand(6, 2, 1, 1), "lora_down.weight": rand(2, 4, 3, 3)}, "or,rikl->oikl"),
    "Tucker": (
        {"lora_up.weight": rand(6, 2, 1, 1), "lora_mid.weight": rand(2, 3, 3, 3), "lora_down.weight": rand(3, 4, 1, 1)},
        "or,rskl,si->oikl",
    ),
}


@pytest.mark.parametrize("form", CONV_FORMS)
def test_baking_a_convolution(base, tmp_path: Path, form: str) -> None:
    module, formula = CONV_FORMS[form]
    factors = [module["lora_up.weight"].flatten(1)]
    if "lora_mid.weight" in module:
        factors += [module["lora_mid.weight"], module["lora_down.weight"].flatten(1)]
    else:
        factors.append(module["lora_down.weight"])
    got = bake(tmp_path, CONV_NAME, module)[CONV]
    torch.testing.assert_close(got, base[1][CONV] + torch.einsum(formula, *factors), rtol=1e-5, atol=1e-5)


def test_convolutions_of_loha_and_lokr_by_their_tucker_cores() -> None:
    t, a, b = rand(2, 3, 3, 3), rand(2, 6), rand(3, 4)
    core = torch.einsum("rskl,ri,so->iokl", t, a, b)
    module = {"hada_t1": t, "hada_w1_a": a, "hada_w1_b": b, "hada_t2": t, "hada_w2_a": a, "hada_w2_b": b}
    torch.testing.assert_close(weight_change(module, (6, 4, 3, 3), None, "m"), core * core)
    module = {"lokr_w1": rand(2, 2), "lokr_t2": t, "lokr_w2_a": a, "lokr_w2_b": b}
    want = torch.einsum("ab,cdkl->acbdkl", rand(2, 2), core).reshape(12, 8, 3, 3)
    torch.testing.assert_close(weight_change(module, (12, 8, 3, 3), None, "m"), want)


def test_bias_difference_reaches_the_bias_only(base, tmp_path: Path) -> None:
    got = bake(tmp_path, CLIP_NAME, {"diff_b": rand(10)})
    torch.testing.assert_close(got[f"{CLIP}bias"], base[1][f"{CLIP}bias"] + rand(10))
    assert torch.equal(got[f"{CLIP}weight"], base[1][f"{CLIP}weight"])


def test_two_loras_add_up_and_repeating_a_bake_gives_the_same_bytes(base, tmp_path: Path) -> None:
    for name, up in (("one", UP), ("two", 2 * UP)):
        tensors = {f"{Q_NAME}.lora_up.weight": up, f"{Q_NAME}.lora_down.weight": DOWN}
        save_file(tensors, tmp_path / f"{name}.safetensors")
    loras = [(str(tmp_path / "one.safetensors"), 1.0), (str(tmp_path / "two.safetensors"), 0.25)]
    recipe = compose("average", [str(base[0])], {}, loras=loras)
    for name in ("a", "b"):
        merge(recipe, tmp_path / f"{name}.safetensors", Folders(), Options())
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    got = load_file(tmp_path / "a.safetensors")[Q]
    torch.testing.assert_close(got, base[1][Q] + 1.5 * UP @ DOWN, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("base")
def test_malformed_modules_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="known forms"):
        bake(tmp_path, Q_NAME, {"glora_a": UP})
    with pytest.raises(CheckpointError, match="does not fit"):
        bake(tmp_path, Q_NAME, {"lora_up.weight": rand(5, 4), "lora_down.weight": DOWN})
    with pytest.raises(CheckpointError, match="none of its modules"):
        bake(tmp_path, "lora_unet_nowhere", {"diff": UP})
    with pytest.raises(CheckpointError, match="not a kohya"):
        bake(tmp_path, "unet", {"lora_A.weight": UP})


@pytest.mark.parametrize(
    ("ldm", "diffusers"),
    [
        ("input_blocks.0.0", "conv_in"),
        ("input_blocks.3.0.op", "down_blocks.0.downsamplers.0.conv"),
        ("input_blocks.8.1.proj_in", "down_blocks.2.attentions.1.proj_in"),
        ("input_blocks.4.0.in_layers.2", "down_blocks.1.resnets.0.conv1"),
        ("middle_block.1.proj_out", "mid_block.attentions.0.proj_out"),
        ("middle_block.2.out_layers.3", "mid_block.resnets.1.conv2"),
        ("output_blocks.5.2.conv", "up_blocks.1.upsamplers.0.conv"),
        ("output_blocks.7.1.transformer_blocks.0.ff.net.2", "up_blocks.2.attentions.1.transformer_blocks.0.ff.net.2"),
        ("output_blocks.11.0.skip_connection", "up_blocks.3.resnets.2.conv_shortcut"),
        ("time_embed.2", "time_embedding.linear_2"),
    ],
)
def test_unet_names(ldm: str, diffusers: str) -> None:
    assert diffusers_name(ldm) == diffusers


def test_open_clip_attention_is_three_modules() -> None:
    key = "conditioner.embedders.1.model.transformer.resblocks.5.attn.in_proj_weight"
    slots = slots_of(key, "sdxl")
    assert [slot.part for slot in slots] == [0, 1, 2] and all(slot.parts == 3 for slot in slots)
    assert [slot.names[0][-6:] for slot in slots] == ["q_proj", "k_proj", "v_proj"]
    (out,) = slots_of(key.replace("in_proj_weight", "out_proj.weight"), "sdxl")
    assert out.names == ("lora_te2_text_model_encoder_layers_5_self_attn_out_proj",)


def lora_file(path: Path, rank: int, alpha: float, seed: int, **metadata: str) -> torch.Tensor:
    up, down = rand(12, rank, seed=seed), rand(rank, 8, seed=seed)
    module = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor(alpha)}
    save_file({f"{Q_NAME}.{part}": value for part, value in module.items()}, path, metadata or None)
    return up.double() @ down.double() * alpha / rank


def change_of(path: Path) -> torch.Tensor:
    module = {key.partition(".")[2]: value for key, value in load_file(path).items()}
    return weight_change(module, (12, 8), None, "m").double()


def test_joining_is_exact_for_any_ranks_alphas_and_strengths(tmp_path: Path) -> None:
    one = lora_file(tmp_path / "1.safetensors", 2, 1.0, 1, ss_base_model_version="sd_v1")
    two = lora_file(tmp_path / "2.safetensors", 3, 6.0, 2, ss_base_model_version="sd_v1")
    inputs = [(tmp_path / "1.safetensors", 0.7), (tmp_path / "2.safetensors", -0.4)]
    assert combine(inputs, tmp_path / "o.safetensors") == 5
    torch.testing.assert_close(change_of(tmp_path / "o.safetensors"), 0.7 * one - 0.4 * two, rtol=5e-3, atol=5e-3)
    from safetensors import safe_open

    with safe_open(tmp_path / "o.safetensors", "pt") as opened:
        assert opened.metadata()["ss_base_model_version"] == "sd_v1"
        assert opened.metadata()["ss_network_dim"] == "5"


def test_reducing_is_the_best_of_its_rank(tmp_path: Path) -> None:
    total = lora_file(tmp_path / "1.safetensors", 3, 3.0, 1) + lora_file(tmp_path / "2.safetensors", 4, 4.0, 2)
    inputs = [(tmp_path / f"{number}.safetensors", 1.0) for number in (1, 2)]
    combine(inputs, tmp_path / "o.safetensors", rank=4)
    best = torch.linalg.svdvals(total)[4:].square().sum().sqrt()
    assert (change_of(tmp_path / "o.safetensors") - total).norm() < 1.01 * best
    combine(inputs, tmp_path / "full.safetensors", rank=7)
    torch.testing.assert_close(change_of(tmp_path / "full.safetensors"), total, rtol=5e-3, atol=2e-2)


def test_loras_of_different_bases_and_unfactored_forms_are_refused(tmp_path: Path) -> None:
    lora_file(tmp_path / "1.safetensors", 2, 1.0, 1, ss_base_model_version="sd_v1")
    lora_file(tmp_path / "2.safetensors", 2, 1.0, 1, ss_base_model_version="sdxl_base_v1-0")
    save_file({f"{Q_NAME}.diff": rand(12, 8)}, tmp_path / "3.safetensors")
    with pytest.raises(MergeError, match="different base models"):
        combine([(tmp_path / "1.safetensors", 1.0), (tmp_path / "2.safetensors", 1.0)], tmp_path / "o.safetensors")
    with pytest.raises(RecipeError, match="choose a rank"):
        combine([(tmp_path / "1.safetensors", 1.0), (tmp_path / "3.safetensors", 1.0)], tmp_path / "o.safetensors")
    combine([(tmp_path / "1.safetensors", 1.0), (tmp_path / "3.safetensors", 1.0)], tmp_path / "o.safetensors", rank=8)
    assert (tmp_path / "o.safetensors").exists()


def test_extracting_and_baking_gives_the_tuned_model_back(base, tmp_path: Path) -> None:
    tuned = {key: value.clone() for key, value in base[1].items()}
    tuned[Q] += rand(12, 3) @ rand(3, 8)
    tuned[CONV] += torch.einsum("or,rikl->oikl", rand(6, 2), rand(2, 4, 3, 3))
    save_file(tuned, tmp_path / "tuned.safetensors")
    assert extract(tmp_path / "tuned.safetensors", base[0], tmp_path / "x.safetensors", rank=4) == 2
    recipe = compose("average", [str(base[0])], {}, loras=[(str(tmp_path / "x.safetensors"), 1.0)])
    merge(recipe, tmp_path / "again.safetensors", Folders(), Options())
    for key, value in load_file(tmp_path / "again.safetensors").items():
        torch.testing.assert_close(value, tuned[key], rtol=1e-2, atol=1e-2)
