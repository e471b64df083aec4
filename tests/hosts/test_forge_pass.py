"""Guidance on the Forge family: the images that passes run one by one would give, its calls, its manners."""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from lib_sticky.config import Config
from lib_sticky.guidance.cfg_pp import next_latent
from lib_sticky.guidance.report import short
from lib_sticky.guidance.selection import Technique
from lib_sticky.hosts.forge_pass import ForgePass
from lib_sticky.hosts.selected import selected
from tests.hosts.fake_forge import WORDS, Denoiser, calc_cond_uncond_batch, engine
from tests.hosts.fake_webui import FakeWebUI
from tests.hosts.row_by_row import SIGMAS, TECHNIQUES, OnePass, agree, check_and_prompt, check_rows, expected, text


class Host(OnePass):
    """Makes one model call with `step`."""

    def __init__(self) -> None:
        self.engine = engine()
        denoiser = Denoiser(self.engine, lambda params: self.guiding and self.guiding.before(params, self.empty))
        super().__init__(self.engine.forge_objects.unet.model, denoiser, self.engine)

    def guide(self, fields: dict[str, Any], scale: float | None = None, untitled: bool = False) -> ForgePass:
        selection = selected(Config(**fields))
        self.guiding = ForgePass(
            self.p, selection, scale, untitled=untitled, asked=self.scale, calc=calc_cond_uncond_batch
        )
        self.sampler.func(None, None, sigmas=SIGMAS)
        return self.guiding

    @property
    def options(self) -> dict[str, Any]:
        return self.engine.forge_objects.unet.model_options

    def step(self, texts: list[Tensor], negative: Any, weights: list[float] | None = None) -> Tensor:
        self.images = texts[0].shape[0]
        return self.denoiser.forward(
            self.x(), torch.full((self.images,), SIGMAS[1]), texts, negative, weights or [1.0], self.scale
        )


@pytest.fixture
def host() -> Iterator[Host]:
    found = Host()
    with FakeWebUI(model=found.engine).running(), torch.inference_mode():
        yield found


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_is_what_its_rows_one_by_one_give(host: Host, name: str) -> None:
    assert check_rows(host, name).refused == ()


@pytest.mark.parametrize("name", TECHNIQUES)
def test_and_prompts(host: Host, name: str) -> None:
    check_and_prompt(host, name)


@pytest.mark.parametrize(
    ("fields", "same", "wanted"),
    [
        ({"untitled": True}, True, [1]),
        ({"rescale": 0.5}, False, [2]),
        ({"pag": 1.0}, False, [3]),
        ({"pag": 1.0, "seg": "own pass"}, False, [4]),
        ({"pag": 1.0}, True, [2]),
        ({"seg": "in the negative"}, True, [2]),
        ({"twoscale": 2.0}, False, [3]),
        ({"sag": 0.5}, False, [2, 1]),
        ({"cfg_stop": 0.1}, False, [1]),
        ({"cfgpp": 0.5}, False, [2]),
    ],
)
def test_a_step_runs_the_planned_rows_in_one_call(host: Host, fields: Any, same: bool, wanted: list[int]) -> None:
    guiding = host.guide(fields, untitled="untitled" in fields)
    host.step([text(1)], text(1) if same else text(2))
    assert host.model.rows == wanted
    assert guiding.records[0].evaluations == sum(wanted)


def test_without_techniques_the_picture_is_the_hosts_own(host: Host) -> None:
    plain = host.step([text(1)], text(2))
    host.guide({})
    assert torch.equal(host.step([text(1)], text(2)), plain)


def test_untitled_uses_one_part_at_its_own_scale(host: Host) -> None:
    nothing = text(99)
    host.guide({"untitled": True}, scale=3.0, untitled=True)
    found = host.step([nothing, nothing], text(2), [1.0, 0.5])
    host.guiding, host.scale = None, 3.0
    host.engine.forge_objects.unet.model_options = {}
    agree(found, host.step([nothing], text(2)))


def test_at_cfg_1_the_negative_is_run_where_cfg_plus_plus_needs_it(host: Host) -> None:
    host.scale = 1.0
    host.guide({"cfgpp": 0.5})
    found = host.step([text(1)], text(2))
    assert host.model.rows == [2]
    agree(found, expected(host, {"cfgpp": 0.5}, [text(1)], text(2), [1.0]))


def test_a_cfg_plus_plus_sampler_of_the_hosts_gets_the_noise_of_the_reference(host: Host) -> None:
    host.denoiser.need_last_noise_uncond = True
    host.guide({"cfgpp": 0.5, "clamp": 0.01})
    guided, sigma, after = host.step([text(1)], text(2)), SIGMAS[1], SIGMAS[2]
    reference = host.x() - sigma * host.denoiser.last_noise_uncond
    host.denoiser.need_last_noise_uncond, host.denoiser.step = False, 3
    host.guide({"cfgpp": 0.5, "clamp": 0.01})
    for_a_plain_step = host.step([text(1)], text(2))
    by_hand = for_a_plain_step + (host.x() - for_a_plain_step) * (after / sigma)
    agree(next_latent(host.x(), guided, reference, sigma, after), by_hand)


def test_its_negative_is_kept_even_where_no_pass_of_ours_needs_it(host: Host) -> None:
    host.denoiser.need_last_noise_uncond = True
    host.guide({"pag": 1.0})
    host.step([text(1)], text(1))
    assert host.model.rows == [3]


@pytest.mark.parametrize("tells", [True, False])
def test_where_the_host_skips_the_negative_the_rest_acts(host: Host, tells: bool) -> None:
    host.denoiser.skips, host.denoiser.tells = True, tells
    guiding = host.guide({"pag": 1.5, "apg": True})
    found = host.step([text(1)], text(2))
    host.scale = 1.0
    agree(found, expected(host, {"pag": 1.5}, [text(1)], text(2), [1.0]))
    assert guiding.records[0].acted == (Technique.PAG,)
    assert "the host skipped the negative" in short(guiding.records)
    assert host.model.rows == [2]


def test_another_wrapper_of_the_model_is_delegated_to_and_named(host: Host) -> None:
    def tiled(apply_model: Any, args: dict[str, Any]) -> Tensor:
        seen.append(len(args["input"]))
        return apply_model(args["input"], args["timestep"], **args["c"])

    seen: list[int] = []
    host.options["model_function_wrapper"] = tiled
    guiding = host.guide({"pag": 1.5, "rescale": 0.7})
    agree(host.step([text(1)], text(2)), expected(host, {"rescale": 0.7}, [text(1)], text(2), [1.0]))
    assert seen == [2]
    assert "PAG, SEG, TPG and SAG cannot act while tests.hosts.test_forge_pass runs the model" in guiding.refused


def test_another_cfg_function_makes_the_cfg_away_from_the_moved_reference(host: Host) -> None:
    def doubled(args: dict[str, Any]) -> Tensor:
        seen.append(args["uncond_denoised"])
        return args["uncond"] + (args["cond"] - args["uncond"]) * (2 * args["cond_scale"])

    seen: list[Tensor] = []
    host.options["sampler_cfg_function"] = doubled
    guiding = host.guide({"apg": True, "pag": 1.5})
    found = host.step([text(1)], text(2))
    moved, cond = seen[-1], expected(host, {"pag": 1.5, "cfg_stop": 0.1}, [text(1)], text(2), [1.0])
    assert not torch.equal(seen[0], moved)
    towards = host.model.denoised(host.x(), torch.full((1,), SIGMAS[1]), text(1))
    agree(found, moved + (towards - moved) * 14 + (cond - towards))
    assert guiding.owner == "tests.hosts.test_forge_pass made the CFG"


def test_functions_after_ours_are_given_the_hosts_own_conditionings(host: Host) -> None:
    def last(args: dict[str, Any]) -> Tensor:
        counts.append((len(args["cond"]), len(args["uncond"])))
        again, _ = calc_cond_uncond_batch(
            args["model"], args["cond"], None, args["input"], args["sigma"], args["model_options"]
        )
        return args["denoised"] + 0 * again

    counts: list[tuple[int, int]] = []
    host.options["sampler_post_cfg_function"] = [last]
    host.guide({"pag": 1.5})
    found = host.step([text(1)], text(2))
    assert counts == [(1, 1)]
    assert host.model.rows == [3, 1]
    agree(found, expected(host, {"pag": 1.5}, [text(1)], text(2), [1.0]))


def test_a_refiners_unet_is_guided_too(host: Host) -> None:
    host.guide({"pag": 1.5})
    host.step([text(1)], text(2))
    host.engine.forge_objects.unet = engine().forge_objects.unet
    host.step([text(1)], text(2))
    assert host.engine.forge_objects.unet.model.rows == [3]


def test_nothing_is_left_on_the_model_and_the_clone_is_dead_after_the_pass(host: Host) -> None:
    before = host.engine.forge_objects.unet
    host.guide({"pag": 1.5, "freeu": "version 2", "sag": 0.5, "tpg": 1.0})
    host.step([text(1)], text(2))
    host.step([text(1)], text(2))
    unet = before.model.diffusion_model
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in unet.modules())
    assert before.model_options == {"transformer_options": {}}
    assert len(host.options["conditioning_modifiers"]) == 1
    plain = Denoiser(host.engine, lambda _: None)
    copied = copy.deepcopy(host.options)["conditioning_modifiers"][0]
    assert copied is host.options["conditioning_modifiers"][0]
    host.guiding = None
    host.sampler.model_wrap_cfg = host.denoiser = plain  # type: ignore[assignment]
    gc.collect()
    assert copied(1, 2, 3, 4, 5, 6, 7, 8) == (1, 2, 3, 4, 5, 6, 7, 8)


def test_an_error_in_the_model_ends_the_call(host: Host) -> None:
    guiding = host.guide({"pag": 1.5})
    with pytest.raises(RuntimeError):
        host.step([text(1, words=5)], torch.zeros(1, 5, WORDS + 1))
    assert not any(layer._forward_hooks for layer in host.engine.forge_objects.unet.model.diffusion_model.modules())
    agree(
        host.step([text(1)], text(2)),
        expected(host, {"pag": 1.5}, [text(1)], text(2), [1.0]),
    )
    assert len(guiding.records) == 1


def test_timesteps_of_ddim_are_read_as_noise_levels(host: Host) -> None:
    host.engine.alphas_cumprod = torch.tensor([1 / (sigma**2 + 1) for sigma in (0.0, 2.0, 5.0, 8.0)])
    host.denoiser.classic_ddim_eps_estimation = True

    def ddim(_model: Any, _x: Tensor, timesteps: Any = None) -> Any:
        return timesteps

    host.sampler.func = ddim
    guiding = ForgePass(
        host.p, selected(Config(cfgpp=0.5)), None, untitled=False, asked=7.0, calc=calc_cond_uncond_batch
    )
    host.guiding = guiding
    host.sampler.func(None, None, timesteps=torch.tensor([0, 1, 2, 3]))
    agree(host.step([text(1)], text(2)), expected(host, {"cfgpp": 0.5}, [text(1)], text(2), [1.0]))
