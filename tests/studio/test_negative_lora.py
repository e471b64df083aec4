"""A LoRA on the negative side of the studio's guidance: the reference is two separate runs, plain and fully applied."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lib_sticky.config import Config
from lib_sticky.guidance.passes import Pass
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.hosts.diffusers_loras import pipe_text_places
from lib_sticky.lora.forms import weight_change
from lib_sticky.lora.places import unet_file_places
from lib_sticky.neglora_fields import BOTH_SIDES
from lib_sticky.option import ConfigError
from lib_sticky.studio.job import Job
from lib_sticky.studio.sampling import Moment, sample, sized

STEPS = 4
PLAIN = Job(prompt="a red AND a cube :0.5", negative="wrong", sampler="Euler", steps=STEPS, cfg=5, seed=3, batch=2)


def layers_of(host: Diffusers, *, ldm: bool = True) -> dict[str, Any]:
    unet = {name: layer for name, layer in unet_file_places(host.pipe.unet, ldm=ldm).items() if layer.weight.ndim != 1}
    text = {name: layer for name, layer in pipe_text_places(host.pipe).items() if name.endswith(("fc1", "q_proj"))}
    return {**unet, **text}


def factors(shape: tuple[int, ...], draw: torch.Generator) -> dict[str, torch.Tensor]:
    """A LoRA of rank 2 for a weight of `shape`, strong enough to be seen."""
    return {
        "lora_up.weight": 0.3 * torch.randn(shape[0], 2, *[1] * (len(shape) - 2), generator=draw),
        "lora_down.weight": 0.3 * torch.randn(2, *shape[1:], generator=draw),
        "alpha": torch.tensor(1.0),
    }


@pytest.fixture(params=["LDM names", "diffusers names"])
def lora(request: pytest.FixtureRequest, host: Diffusers, tmp_path: Path) -> tuple[str, Diffusers]:
    """A LoRA file for the host's UNet and text encoders, and the host with that LoRA fully applied."""
    draw = torch.Generator().manual_seed(11)
    applied = Diffusers(copy.deepcopy(host.pipe))
    tensors: dict[str, torch.Tensor] = {}
    for name, layer in layers_of(applied, ldm=request.param == "LDM names").items():
        module = factors(tuple(layer.weight.shape), draw)
        tensors |= {f"{name}.{part}": value for part, value in module.items()}
        layer.weight.data += weight_change(module, tuple(layer.weight.shape), None, name)
    path = tmp_path / "wrong.safetensors"
    save_file(tensors, path)
    return str(path), applied


def moments(host: Diffusers, job: Job) -> list[Moment]:
    return list(sample(host, sized(job, host)))


def close(first: torch.Tensor, second: torch.Tensor) -> None:
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-4)


def test_the_negative_row_alone_is_that_of_the_applied_model(host: Diffusers, lora: tuple[str, Diffusers]) -> None:
    path, applied = lora
    with_lora = moments(host, replace(PLAIN, config=Config(neglora=path)))[0]
    plain, baked = moments(host, PLAIN)[0], moments(applied, PLAIN)[0]
    close(with_lora.predictions[Pass.UNCOND], baked.predictions[Pass.UNCOND])
    assert (with_lora.predictions[Pass.UNCOND] - plain.predictions[Pass.UNCOND]).abs().max() > 0.1
    # The sum over the parts of an AND prompt starts from the negative; without it, no row but the negative's moved.
    single = replace(PLAIN, prompt="a red")
    with_lora = moments(host, replace(single, config=Config(neglora=path)))[0]
    assert torch.equal(with_lora.predictions[Pass.COND], moments(host, single)[0].predictions[Pass.COND])


def test_both_sides_are_the_applied_model(host: Diffusers, lora: tuple[str, Diffusers]) -> None:
    path, applied = lora
    both = moments(host, replace(PLAIN, config=Config(neglora=path, neglora_side=BOTH_SIDES)))[0].predictions
    for name, wanted in moments(applied, PLAIN)[0].predictions.items():
        close(both[name], wanted)


def test_a_tag_is_the_field_and_is_not_read_as_text(host: Diffusers, lora: tuple[str, Diffusers]) -> None:
    path, _ = lora
    field = moments(host, replace(PLAIN, config=Config(neglora=path, neglora_strength=0.5)))[-1].latents
    tag = moments(host, replace(PLAIN, negative=f"wrong<neglora:{path}:0.5>"))[-1].latents
    assert torch.equal(field, tag)


@pytest.mark.parametrize("config", [{}, {"neglora_strength": 0.0}, {"neglora_start": 1.0}])
def test_off_changes_no_bit_and_leaves_no_hook(sd1: Diffusers, tmp_path: Path, config: dict[str, Any]) -> None:
    name = next(name for name in layers_of(sd1) if name.startswith("lora_unet"))
    layer = layers_of(sd1)[name]
    module = factors(tuple(layer.weight.shape), torch.Generator().manual_seed(1))
    save_file({f"{name}.{part}": value for part, value in module.items()}, tmp_path / "x.safetensors")
    wanted = Config(neglora=str(tmp_path / "x.safetensors"), **config) if config else Config()
    plain = moments(sd1, PLAIN)[-1].latents
    run = sample(sd1, sized(replace(PLAIN, config=wanted), sd1))
    first = next(run)
    assert not layer._forward_hooks
    assert torch.equal([first, *run][-1].latents, plain)
    assert not layer._forward_hooks


def test_it_acts_on_its_steps_only_and_costs_no_call(sd1: Diffusers, tmp_path: Path) -> None:
    name, layer = next(item for item in layers_of(sd1).items() if item[0].startswith("lora_unet"))
    module = factors(tuple(layer.weight.shape), torch.Generator().manual_seed(1))
    save_file({f"{name}.{part}": value for part, value in module.items()}, tmp_path / "x.safetensors")
    late = Config(neglora=str(tmp_path / "x.safetensors"), neglora_start=0.5)
    calls: list[int] = []
    handle = sd1.pipe.unet.register_forward_pre_hook(lambda _, inputs: calls.append(len(inputs[0])))
    plain, some = moments(sd1, PLAIN), moments(sd1, replace(PLAIN, config=late))
    handle.remove()
    same = [torch.equal(one.latents, other.latents) for one, other in zip(plain, some, strict=True)]
    assert same == [True, True, False, False]
    assert calls[:STEPS] == calls[STEPS:]


def test_equal_texts_are_still_run_on_both_sides(sd1: Diffusers, lora: tuple[str, Diffusers], host: Diffusers) -> None:
    del sd1
    job = replace(PLAIN, prompt="wrong", negative="wrong")
    assert not torch.equal(
        moments(host, replace(job, config=Config(neglora=lora[0])))[-1].latents, moments(host, job)[-1].latents
    )


def test_stopping_early_takes_the_hooks_off(sd1: Diffusers, host: Diffusers, lora: tuple[str, Diffusers]) -> None:
    del sd1
    run: Any = sample(host, sized(replace(PLAIN, config=Config(neglora=lora[0])), host))
    next(run)
    run.close()
    assert not any(module._forward_hooks for module in host.pipe.unet.modules())


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (Config(neglora="nowhere"), "no LoRA file 'nowhere'"),
        (Config(neglora="wrong:much"), "is no strength"),
        (Config(neglora="../sticky-demo/sticky-demo"), "no LoRA file"),
    ],
)
def test_what_is_not_there_is_refused_before_sampling(sd1: Diffusers, config: Config, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        next(sample(sd1, sized(replace(PLAIN, config=config), sd1)))


def test_a_lora_of_another_model_is_refused_by_name(sd1: Diffusers, sdxl: Diffusers, tmp_path: Path) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for name, layer in layers_of(sdxl).items():
        module = factors(tuple(layer.weight.shape), torch.Generator().manual_seed(1))
        tensors |= {f"{name}.{part}": value for part, value in module.items()}
    save_file(tensors, tmp_path / "for-xl.safetensors")
    job = replace(PLAIN, config=Config(neglora=str(tmp_path / "for-xl.safetensors")))
    with pytest.raises(ConfigError, match="for-xl"):
        next(sample(sd1, sized(job, sd1)))
    assert not any(module._forward_hooks for module in sd1.pipe.unet.modules())
