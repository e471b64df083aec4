"""Whole jobs on tiny pipelines: what must be equal, and how many model calls it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from lib_sticky.config import Config
from lib_sticky.guidance.passes import Pass
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.studio.conditions import negative_of
from lib_sticky.studio.job import SAMPLER_NAMES, Job
from lib_sticky.studio.sampling import Moment, sample, sized

JOB = Job("a red star", "moon", "Euler", steps=3, cfg=7.0, width=16, height=16, seed=7)
STICKY = Config(enabled=True)
LONG = ", ".join(f"thing number {i} in red and blue" for i in range(14))


def moments(host: Diffusers, job: Job) -> list[Moment]:
    return list(sample(host, job))


def latents(host: Diffusers, job: Job) -> Tensor:
    return moments(host, job)[-1].latents


@pytest.fixture
def calls(host: Diffusers, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """(rows, tokens) of every model call."""
    seen: list[tuple[int, int]] = []
    forward = host.pipe.unet.forward

    def counted(x: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **rest: Any) -> Any:
        seen.append((x.shape[0], encoder_hidden_states.shape[1]))
        return forward(x, timestep, encoder_hidden_states, **rest)

    monkeypatch.setattr(host.pipe.unet, "forward", counted)
    yield seen


@pytest.mark.parametrize(
    "prompt",
    ["a red star", "a (red:1.3) star", "a [red:blue:0.5] star", "a [red|blue] star", "a BREAK star", LONG,
     "a star :0.7 AND a moon", "<lora:x:1> a star"],
)  # fmt: skip
@pytest.mark.parametrize("placement", ["same chunk", "own chunk"])
def test_sticky_is_the_text_by_hand_bit_for_bit(host: Diffusers, prompt: str, placement: str) -> None:
    on = replace(JOB, prompt=prompt, config=replace(STICKY, placement=placement, start=0.25))
    by_hand = replace(JOB, prompt=prompt, negative=negative_of(on))
    assert by_hand.negative != JOB.negative
    assert torch.equal(latents(host, on), latents(host, by_hand))


def test_off_is_plain(host: Diffusers) -> None:
    off = replace(JOB, config=Config(enabled=False, terms="something else", placement="own chunk"))
    assert torch.equal(latents(host, off), latents(host, JOB))


@pytest.mark.parametrize("sampler", SAMPLER_NAMES)
def test_a_batch_of_two_is_two_of_one(host: Diffusers, sampler: str) -> None:
    job = replace(JOB, sampler=sampler, config=STICKY)
    both = latents(host, replace(job, batch=2))
    torch.testing.assert_close(both[:1], latents(host, job), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(both[1:], latents(host, replace(job, seed=8)), atol=1e-4, rtol=1e-4)
    assert not torch.equal(both[0], both[1])


def test_a_batch_of_two_prompts_is_two_jobs(host: Diffusers) -> None:
    job = replace(JOB, batch=2, config=STICKY, negative="")
    both = list(sample(host, job, prompts=["a red star", "two moons"]))[-1].latents
    for index, prompt in enumerate(("a red star", "two moons")):
        alone = latents(host, replace(job, prompt=prompt, seed=JOB.seed + index, batch=1))
        torch.testing.assert_close(both[index : index + 1], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("sampler", SAMPLER_NAMES)
def test_a_seed_makes_the_same_picture_again(host: Diffusers, sampler: str) -> None:
    job = replace(JOB, sampler=sampler)
    assert torch.equal(latents(host, job), latents(host, job))


def test_a_negative_equal_to_the_prompt_is_cfg_1(host: Diffusers, calls: list[tuple[int, int]]) -> None:
    equal = latents(host, replace(JOB, negative=JOB.prompt, cfg=20.0))
    assert calls == [(1, 77)] * JOB.steps
    assert torch.equal(equal, latents(host, replace(JOB, cfg=1.0)))
    assert calls == [(1, 77)] * (2 * JOB.steps)


def test_guidance_takes_one_call_of_two_rows(host: Diffusers, calls: list[tuple[int, int]]) -> None:
    moments(host, JOB)
    assert calls == [(2, 77)] * JOB.steps
    calls.clear()
    moments(host, replace(JOB, batch=3, prompt="a AND b"))
    assert calls == [(9, 77)] * JOB.steps


def test_unequal_chunks_share_one_call_and_change_nothing(host: Diffusers, calls: list[tuple[int, int]]) -> None:
    job = replace(JOB, prompt=LONG, negative="a BREAK b BREAK c", steps=1)
    (moment,) = moments(host, job)
    assert calls == [(2, 462)]
    prepared = host.prepare(job.prompt, job.negative, 1, (16, 16))
    generator = torch.Generator().manual_seed(job.seed)
    x = torch.randn(1, *host.latent_shape(16, 16), generator=generator) * moment.sigma
    alone = {
        Pass.COND: host.denoised(x, moment.sigma, 999.0, prepared.conds(0)),
        Pass.UNCOND: host.denoised(x, moment.sigma, 999.0, [prepared.negative.at(0)]),
    }
    assert [tokens for _, tokens in calls[1:]] == [154, 231]
    for name, prediction in alone.items():
        torch.testing.assert_close(moment.predictions[name], prediction, atol=1e-4, rtol=1e-4)


def test_composition_is_a_weighted_sum(host: Diffusers) -> None:
    halves = replace(JOB, prompt="a red star :0.5 AND a red star :0.5")
    torch.testing.assert_close(latents(host, halves), latents(host, JOB), atol=1e-4, rtol=1e-4)
    half = replace(JOB, prompt="a red star :0.5", cfg=14.0)
    torch.testing.assert_close(latents(host, half), latents(host, JOB), atol=1e-4, rtol=1e-4)


def test_cancelling_stops_the_model(host: Diffusers, calls: list[tuple[int, int]]) -> None:
    running = sample(host, replace(JOB, steps=50))
    for _ in range(3):
        next(running)
    running.close()
    assert len(calls) == 3
    assert torch.equal(latents(host, JOB), latents(host, JOB))


def test_moments_tell_what_happened(host: Diffusers) -> None:
    found = moments(host, JOB)
    assert [(moment.step, moment.steps) for moment in found] == [(i, 3) for i in range(1, 4)]
    assert all(moment.guidance_norm > 0 for moment in found)
    assert all(set(moment.predictions) == {Pass.COND, Pass.UNCOND} for moment in found)
    assert [moment.guided.record.evaluations for moment in found] == [2] * 3
    assert moments(host, replace(JOB, cfg=1.0))[0].guidance_norm == 0


def test_steps_on_which_the_negative_is_the_prompt_run_one_pass(host: Diffusers, calls: list[tuple[int, int]]) -> None:
    moments(host, replace(JOB, negative="a red star[:, bad:0.5]", steps=8))
    # A1111 switches one call late: the term comes at the sixth call.
    assert [rows for rows, _ in calls] == [1] * 5 + [2] * 3


def test_pictures_have_the_size_asked_for(host: Diffusers) -> None:
    job = sized(replace(JOB, width=0, height=24), host)
    assert (job.width, job.height) == (16, 24)
    (picture,) = host.pictures(latents(host, job))
    assert picture.shape == (24, 16, 3)
    assert picture.dtype.name == "uint8"


def test_v_prediction_and_noise_prediction_mean_the_same(sd1: Diffusers, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = type(sd1.pipe.scheduler).from_config(sd1.pipe.scheduler.config, prediction_type="v_prediction")
    parts = {**sd1.pipe.components, "scheduler": scheduler}
    by_v = Diffusers(type(sd1.pipe)(**parts, requires_safety_checker=False))
    x, sigma = torch.randn(1, 4, 8, 8), 2.0
    cond = sd1.prepare("a", "", 1, (16, 16)).conds(0)
    by_noise = sd1.denoised(x, sigma, 500.0, cond)
    v = ((x - by_noise) / sigma - sigma * by_noise) / (sigma**2 + 1) ** 0.5
    monkeypatch.setattr(sd1.pipe.unet, "forward", lambda *_args, **_kwargs: SimpleNamespace(sample=v))
    torch.testing.assert_close(by_v.denoised(x, sigma, 500.0, cond), by_noise, atol=1e-5, rtol=1e-5)
