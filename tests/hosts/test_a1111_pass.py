"""Guidance on A1111: the images that passes run one by one would give, its calls, its manners."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from lib_sticky.config import Config
from lib_sticky.guidance.cfg_pp import next_latent
from lib_sticky.guidance.selection import Technique
from lib_sticky.hosts.a1111_pass import A1111Pass
from lib_sticky.hosts.selected import selected
from tests.hosts.fake_a1111 import Denoiser
from tests.hosts.fake_forge import WORDS, Model
from tests.hosts.fake_webui import FakeWebUI
from tests.hosts.row_by_row import SIGMAS, TECHNIQUES, OnePass, agree, check_and_prompt, check_rows, expected, text

OPTS = {"skip_early_cond": 0.0, "s_min_uncond_all": False}


class Host(OnePass):
    """Makes one model call with `step`."""

    def __init__(self) -> None:
        model = Model()
        denoiser = Denoiser(model, lambda params: self.guiding and self.guiding.before(params, self.empty))
        super().__init__(model, denoiser, SimpleNamespace(model=model))

    def guide(self, fields: dict[str, Any], scale: float | None = None, untitled: bool = False) -> A1111Pass:
        self.guiding = A1111Pass(self.p, selected(Config(**fields)), scale, untitled=untitled)
        self.sampler.func(None, None, sigmas=SIGMAS)
        return self.guiding

    def step(self, texts: list[Tensor], negative: Tensor, weights: list[float] | None = None) -> Tensor:
        self.images, weights = texts[0].shape[0], weights or [1.0]
        batch = [[SimpleNamespace(weight=weight) for weight in weights]] * self.images
        self.denoiser.sampler.sampler_extra_args = {"cond": SimpleNamespace(batch=batch), "cond_scale": self.scale}
        return self.denoiser.forward(self.x(), torch.full((self.images,), SIGMAS[1]), texts, negative, weights)


@pytest.fixture
def callbacks() -> dict[str, list[Any]]:
    return {"callbacks_cfg_denoiser": [], "callbacks_cfg_denoised": []}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, callbacks: dict[str, list[Any]]) -> Iterator[Host]:
    found = Host()
    module = ModuleType("modules.script_callbacks")
    module.callback_map = callbacks  # type: ignore[attr-defined]
    with FakeWebUI(model=found.p.sd_model, opts=OPTS).running(), torch.inference_mode():
        monkeypatch.setitem(__import__("sys").modules, "modules.script_callbacks", module)
        yield found


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_is_what_its_rows_one_by_one_give(host: Host, name: str) -> None:
    check_rows(host, name)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_and_prompts(host: Host, name: str) -> None:
    check_and_prompt(host, name)


@pytest.mark.parametrize(
    ("fields", "same", "wanted"),
    [
        ({"untitled": True}, True, [1]),
        ({"pag": 1.0}, False, [3]),
        ({"pag": 1.0, "seg": "own pass"}, False, [4]),
        ({"seg": "in the negative"}, True, [2]),
        ({"sag": 0.5}, False, [2, 1]),
        ({"cfg_stop": 0.1}, False, [1]),
    ],
)
def test_a_step_runs_the_planned_rows_in_one_call(host: Host, fields: Any, same: bool, wanted: list[int]) -> None:
    guiding = host.guide(fields, untitled="untitled" in fields)
    host.step([text(1)], text(1) if same else text(2))
    assert host.model.rows == wanted
    assert guiding.records[0].evaluations == sum(wanted)


def test_the_negative_is_run_for_others_who_listen(host: Host, callbacks: dict[str, list[Any]]) -> None:
    callbacks["callbacks_cfg_denoised"].append(SimpleNamespace(callback=SimpleNamespace(__module__="other.py")))
    host.guide({"pag": 1.0})
    host.step([text(1)], text(1))
    assert host.model.rows == [3]


def test_without_techniques_the_picture_is_the_hosts_own(host: Host) -> None:
    plain = host.step([text(1)], text(2))
    host.guide({})
    assert torch.equal(host.step([text(1)], text(2)), plain)


def test_a_combiner_that_came_before_is_delegated_to(host: Host) -> None:
    own = host.denoiser.combine_denoised
    host.denoiser.combine_denoised = lambda x_out, conds, uncond, scale: own(x_out, conds, uncond, 2 * scale)
    guiding = host.guide({"pag": 1.5})
    found = host.step([text(1)], text(2))
    host.scale = 14.0
    agree(found, expected(host, {"pag": 1.5}, [text(1)], text(2), [1.0]))
    assert guiding.owner == ""


def test_a_combiner_that_came_after_is_named(host: Host) -> None:
    own = host.denoiser.combine_denoised
    guiding = host.guide({"pag": 1.5})
    host.denoiser.combine_denoised = own
    host.step([text(1)], text(2))
    assert guiding.owner == "tests.hosts.fake_a1111 combined the predictions in place of Sticky"


def test_where_the_host_skips_the_negative_the_rest_acts(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.denoiser.skips = True
    guiding = host.guide({"pag": 1.5, "apg": True})
    monkeypatch.setattr(guiding, "_skips", lambda _level: True)
    found = host.step([text(1)], text(2))
    host.scale = 1.0
    agree(found, expected(host, {"pag": 1.5}, [text(1)], text(2), [1.0]))
    assert guiding.records[0].acted == (Technique.PAG,)


def test_a_cfg_plus_plus_sampler_of_the_hosts_gets_the_moved_reference(host: Host) -> None:
    host.denoiser.need_last_noise_uncond = True
    host.guide({"cfgpp": 0.5, "clamp": 0.01})
    guided, sigma, after = host.step([text(1)], text(2)), SIGMAS[1], SIGMAS[2]
    reference = host.denoiser.last_noise_uncond
    host.denoiser.need_last_noise_uncond, host.denoiser.step = False, 3
    host.guide({"cfgpp": 0.5, "clamp": 0.01})
    for_a_plain_step = host.step([text(1)], text(2))
    by_hand = for_a_plain_step + (host.x() - for_a_plain_step) * (after / sigma)
    agree(next_latent(host.x(), guided, reference, sigma, after), by_hand)


def test_an_error_in_the_model_leaves_no_hook(host: Host) -> None:
    host.guide({"pag": 1.5, "freeu": "version 2", "sag": 0.5})
    with pytest.raises(RuntimeError):
        host.step([text(1, words=5)], torch.zeros(1, 5, WORDS + 1))
    unet = host.model.diffusion_model
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in unet.modules())
