"""Which rows of a host's model calls a negative LoRA changes, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from lib_sticky.guidance.interval import Interval
from lib_sticky.hosts.layers import text_places_of, unet_of
from lib_sticky.hosts.neglora import Asked, in_folder
from lib_sticky.hosts.neglora_job import untag
from lib_sticky.hosts.neglora_pass import NegLoraPass
from lib_sticky.lora.load import Strong
from lib_sticky.lora.places import unet_places
from lib_sticky.lora.sides import SidedLoras

UP, DOWN = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]])
IMAGES, PROMPTS = 2, 3


class Unet(nn.Module):
    """One layer, whose rows are told apart by their input."""

    def __init__(self) -> None:
        super().__init__()
        self.input_blocks = nn.ModuleList([nn.ModuleList([nn.Linear(2, 2)])])

    def forward(
        self, x: Tensor, transformer_options: dict[str, Any] | None = None, context: Tensor | None = None
    ) -> Tensor:
        del transformer_options, context
        return self.input_blocks[0][0](x)  # pyright: ignore[reportIndexIssue]


@pytest.fixture
def lora(tmp_path: Path) -> Strong:
    name = "lora_unet_input_blocks_0_0"
    save_file({f"{name}.lora_up.weight": UP, f"{name}.lora_down.weight": DOWN}, tmp_path / "wrong.safetensors")
    return Strong(tmp_path / "wrong.safetensors", 0.5)


class Denoiser:
    """Calls back and runs the UNet as `calls` says, one list of rows after another."""

    def __init__(self, unet: Unet, x: Tensor, calls: list[tuple[slice, dict[str, Any]]]) -> None:
        self.unet, self.x, self.calls = unet, x, calls
        self.step, self.total_steps = 0, 4
        self.callback: Callable[[Any], None] = lambda _: None

    def forward(self) -> Tensor:
        params = SimpleNamespace(x=self.x, text_cond=torch.zeros(PROMPTS, 1), text_uncond=torch.ones(IMAGES, 1))
        self.callback(params)
        return torch.cat([self.unet(self.x[rows], **about) for rows, about in self.calls])


def run(
    unet: Unet, lora: Strong, calls: list[tuple[slice, dict[str, Any]]], *, both: bool = False, start: float = 0.0
) -> tuple[Tensor, Denoiser]:
    denoiser = Denoiser(unet, torch.arange(10.0).view(5, 2), calls)
    p = SimpleNamespace(sampler=SimpleNamespace(model_wrap_cfg=denoiser))
    wanted = Asked((lora,), both, Interval(start, 1.0))
    hung = NegLoraPass(p, wanted, lambda: unet, lambda found: SidedLoras([lora], unet_places(found), {}, both=both))
    denoiser.callback = hung.before
    return denoiser.forward(), denoiser


def changed(unet: Unet, found: Tensor, x: Tensor) -> list[bool]:
    """Which rows are those of the model with the LoRA applied, the others being those of the model as it is."""
    plain = unet(x)
    applied = plain + 0.5 * x @ DOWN.T @ UP.T
    marks: list[bool] = []
    for row, value in enumerate(found):
        is_applied = torch.allclose(value, applied[row])
        assert is_applied or torch.equal(value, plain[row])
        marks.append(is_applied)
    return marks


NONE: dict[str, Any] = {}
A1111_CALLS = {
    "one batch": [(slice(0, 5), NONE)],
    "image by image": [(slice(0, 2), NONE), (slice(2, 4), NONE), (slice(4, 5), NONE)],
    "prompts, then negatives": [(slice(0, 3), NONE), (slice(3, 5), NONE)],
}


@torch.no_grad()
@pytest.mark.parametrize("calls", A1111_CALLS)
def test_a1111s_last_rows_are_the_negatives(lora: Strong, calls: str) -> None:
    unet = Unet()
    found, denoiser = run(unet, lora, A1111_CALLS[calls])
    assert changed(unet, found, denoiser.x) == [False, False, False, True, True]


@torch.no_grad()
def test_a_skipped_negative_and_calls_of_others_are_left_alone(lora: Strong) -> None:
    unet = Unet()
    found, denoiser = run(unet, lora, [(slice(0, 3), NONE)])
    assert changed(unet, found, denoiser.x[:3]) == [False] * 3
    found, denoiser = run(unet, lora, [(slice(0, 5), NONE), (slice(0, 5), NONE)])
    assert changed(unet, found[5:], denoiser.x) == [False] * 5


@torch.no_grad()
@pytest.mark.parametrize(("text", "acts"), [(1.0, True), (0.0, False)])
def test_a_further_call_with_the_negatives_text_is_the_negatives(lora: Strong, text: float, acts: bool) -> None:
    unet = Unet()
    again = {"context": torch.full((IMAGES, 1), text)}
    found, denoiser = run(unet, lora, [(slice(0, 5), NONE), (slice(3, 5), again)])
    assert changed(unet, found[5:], denoiser.x[3:]) == [acts] * IMAGES


@torch.no_grad()
def test_the_forge_familys_rows_go_by_their_marks(lora: Strong) -> None:
    unet = Unet()
    options = {"transformer_options": {"cond_or_uncond": [1, 0]}}
    found, denoiser = run(unet, lora, [(slice(0, 4), options)])
    assert changed(unet, found, denoiser.x[:4]) == [True, True, False, False]


@torch.no_grad()
def test_both_sides_are_all_rows_and_steps_outside_none(lora: Strong) -> None:
    unet = Unet()
    found, denoiser = run(unet, lora, A1111_CALLS["one batch"], both=True)
    assert changed(unet, found, denoiser.x) == [True] * 5
    found, denoiser = run(unet, lora, A1111_CALLS["one batch"], start=0.5)
    assert changed(unet, found, denoiser.x) == [False] * 5


@torch.no_grad()
def test_no_hook_outlives_a_call_not_even_one_that_failed(lora: Strong) -> None:
    unet = Unet()
    with pytest.raises(TypeError):
        run(unet, lora, [(slice(0, 5), {"what": 1})])
    run(unet, lora, A1111_CALLS["one batch"])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in unet.modules())


def test_tags_leave_the_texts_that_are_encoded() -> None:
    p = SimpleNamespace(negative_prompts=["bad <neglora:x:1>"], hr_negative_prompts=["<neglora:y>"])
    assert untag(p) == {False: ["bad <neglora:x:1>"], True: ["<neglora:y>"]}
    assert (p.negative_prompts, p.hr_negative_prompts) == (["bad "], [""])


def clip() -> nn.Module:
    encoder = nn.Module()
    encoder.add_module("text_model", nn.ModuleDict({"fc1": nn.Linear(2, 2)}))
    return encoder


def test_layers_are_found_where_each_host_keeps_them() -> None:
    unet = Unet()
    holder = nn.Module()
    holder.add_module("diffusion_model", unet)
    sd1 = SimpleNamespace(model=holder, cond_stage_model=SimpleNamespace(wrapped=SimpleNamespace(transformer=clip())))
    embedders = [SimpleNamespace(wrapped=SimpleNamespace(transformer=clip())), SimpleNamespace(), sd1.cond_stage_model]
    sdxl = SimpleNamespace(model=holder, conditioner=SimpleNamespace(embedders=embedders))
    stage = SimpleNamespace(clip_l=SimpleNamespace(transformer=clip()), clip_g=SimpleNamespace(transformer=clip()))
    objects = SimpleNamespace(unet=SimpleNamespace(model=holder), clip=SimpleNamespace(cond_stage_model=stage))
    forge = SimpleNamespace(forge_objects=objects)
    assert unet_of(sd1) is unet_of(forge) is unet
    assert set(text_places_of(sd1)) == {"lora_te_text_model_fc1"}
    assert (
        set(text_places_of(sdxl))
        == set(text_places_of(forge))
        == {"lora_te1_text_model_fc1", "lora_te2_text_model_fc1"}
    )
    with pytest.raises(ValueError, match="is no UNet"):
        unet_of(SimpleNamespace(model=SimpleNamespace(diffusion_model=nn.Linear(1, 1))))


def test_names_are_looked_up_among_the_files_that_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "Lora"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.safetensors", "sub/b.safetensors", "sub/notes.txt"):
        (folder / name).touch()
    (tmp_path / "outside.safetensors").touch()
    (folder / "linked.safetensors").symlink_to(tmp_path / "outside.safetensors")
    for name, file in (
        ("a", "a"), ("a.safetensors", "a"), ("sub/b", "sub/b"), (r"sub\b", "sub/b"), ("b", "sub/b"),
        ("linked", "linked"),
    ):  # fmt: skip
        assert in_folder(folder, name) == folder / f"{file}.safetensors"
    for name in ("../outside", str(tmp_path / "outside.safetensors"), "notes", "", "c", "\0"):
        assert in_folder(folder, name) is None
