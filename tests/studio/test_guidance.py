"""Every technique through a real UNet: the same prediction as calls of their own and independent code give, to 1e-5."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import PAGIdentitySelfAttnProcessor2_0
from torch import Tensor
from torch.nn.functional import interpolate, scaled_dot_product_attention

from lib_sticky.config import Config
from lib_sticky.guidance.conditioning import stack
from lib_sticky.guidance.freeu import FreeU
from lib_sticky.guidance.passes import Pass, Row
from lib_sticky.guidance.selection import Technique
from lib_sticky.guidance.tpg import permutation
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.hosts.unet_hooks import Wanted, hooked
from lib_sticky.hosts.unet_parts import NoUNet, parts_of
from lib_sticky.presets import UNTITLED as PRESETS
from lib_sticky.studio.conditions import conditions
from lib_sticky.studio.job import Job, JobError
from lib_sticky.studio.sampling import Moment, sample
from tests.techniques import TECHNIQUES

JOB = Job("a red star", "moon", "Euler", steps=3, cfg=7.0, width=16, height=16, seed=7)
UNTITLED = Config(untitled=True)


def first(host: Diffusers, config: Config, job: Job = JOB) -> Moment:
    return next(sample(host, replace(job, config=config)))


def start(host: Diffusers, moment: Moment, job: Job = JOB) -> Tensor:
    shape = host.latent_shape(job.width, job.height)
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(job.seed)) * moment.sigma


def alone(host: Diffusers, moment: Moment, x: Tensor, cond: Any) -> Tensor:
    """D of one row, by a call of its own through nothing but diffusers' UNet."""
    stacked: Any = stack([cond])
    text = stacked["crossattn"] if isinstance(stacked, dict) else stacked
    added = {k: v for k, v in stacked.items() if k != "crossattn"} if isinstance(stacked, dict) else None
    scaled = x / math.sqrt(moment.sigma**2 + 1)
    with torch.inference_mode():
        noise = host.pipe.unet(scaled, 999.0, encoder_hidden_states=text, added_cond_kwargs=added).sample
    return x - noise * moment.sigma


def pair(host: Diffusers, moment: Moment, config: Config) -> tuple[Tensor, Any, Any, Tensor, Tensor]:
    """x, both conditionings, D_c and D_u."""
    prepared = conditions(host, replace(JOB, config=config)).prepared
    x, cond, away = start(host, moment), prepared.conds(0)[0], prepared.negative.at(0)
    return x, cond, away, alone(host, moment, x, cond), alone(host, moment, x, away)


def agree(moment: Moment, expected: Tensor) -> None:
    """Equal to 1e-5 in what the model itself predicts, noise; an image's error is sigma (here 14.6) times as large."""
    found = moment.guided.prediction / moment.sigma
    torch.testing.assert_close(found, expected / moment.sigma, atol=1e-5, rtol=1e-5)


class WithProcessor:
    """Self-attention of the middle block by another processor."""

    def __init__(self, host: Diffusers, processor: Any) -> None:
        self.layers = [block.attn1 for block in host.pipe.unet.mid_block.attentions[0].transformer_blocks]
        self.processor = processor

    def __enter__(self) -> None:
        self.kept = [layer.processor for layer in self.layers]
        for layer in self.layers:
            layer.set_processor(self.processor)

    def __exit__(self, *_about: Any) -> None:
        for layer, kept in zip(self.layers, self.kept, strict=True):
            layer.set_processor(kept)


class Identity:
    """diffusers' own PAG processor, whose batch is two halves of which the second is perturbed."""

    def __call__(self, layer: Any, hidden: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
        return PAGIdentitySelfAttnProcessor2_0()(layer, torch.cat([hidden, hidden]))[len(hidden) :]


class Changed:
    """Plain attention whose queries pass through `change`; keeps its weights."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        self.change, self.weights = change, torch.empty(0)

    def __call__(self, layer: Any, hidden: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
        q, k, v = (
            values.unflatten(-1, (layer.heads, -1)).transpose(1, 2)
            for values in (self.change(layer.to_q(hidden)), layer.to_k(hidden), layer.to_v(hidden))
        )
        self.weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1)
        return layer.to_out[0](scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))


def gaussian_map(values: Tensor, sigma: float) -> Tensor:
    """An [rows, 16, channels] map of 4 x 4 tokens blurred in both directions by the textbook sum over a kernel."""
    side, reach = 4, 2
    maps = values.unflatten(1, (side, side)).double()
    weights = {o: math.exp(-0.5 * (o / sigma) ** 2) for o in range(-reach, reach + 1)}
    total = sum(weights.values())

    def mirrored(i: int) -> int:
        return abs(i) if i < side else 2 * (side - 1) - i

    for axis in (1, 2):
        moved = [sum(w / total * maps.select(axis, mirrored(i + o)) for o, w in weights.items()) for i in range(side)]
        maps = torch.stack(moved, dim=axis)
    return maps.flatten(1, 2).to(values)


def test_pag(host: Diffusers) -> None:
    moment = first(host, config := Config(pag=1.5))
    x, cond, _, d_c, d_u = pair(host, moment, config)
    with WithProcessor(host, Identity()):
        weak = alone(host, moment, x, cond)
    assert (weak - d_c).abs().max() > 1e-3
    expected = d_u + 7 * (d_c - d_u) + 1.5 * (d_c - weak)
    agree(moment, expected)


@pytest.mark.parametrize("sigma", [0.8, 100.0])
def test_seg_in_a_pass_of_its_own(host: Diffusers, sigma: float) -> None:
    moment = first(host, config := Config(seg="own pass", seg_scale=2, seg_sigma=sigma))
    x, cond, _, d_c, d_u = pair(host, moment, config)

    def blur(q: Tensor) -> Tensor:
        return gaussian_map(q, sigma) if sigma < 100 else q.mean(1, keepdim=True).expand_as(q)

    with WithProcessor(host, Changed(blur)):
        weak = alone(host, moment, x, cond)
    expected = d_u + 7 * (d_c - d_u) + 2 * (d_c - weak)
    agree(moment, expected)


def test_seg_in_the_negative_of_nothing(host: Diffusers) -> None:
    config = Config(untitled=True, untitled_cfg=3, null="same as the positive", seg="in the negative")
    moment = first(host, config)
    x, cond, _, d_c, _ = pair(host, moment, config)
    with WithProcessor(host, Changed(lambda q: q.mean(1, keepdim=True).expand_as(q))):
        weak = alone(host, moment, x, cond)
    agree(moment, weak + 3 * (d_c - weak))


def test_tpg(host: Diffusers) -> None:
    moment = first(host, config := Config(tpg=2))
    x, cond, _, d_c, d_u = pair(host, moment, config)
    blocks = [
        block
        for down in host.pipe.unet.down_blocks
        for attention in down.attentions
        for block in attention.transformer_blocks
    ]
    handles = [
        block.register_forward_pre_hook(
            lambda _, inputs, n=number: (inputs[0][:, permutation(inputs[0].shape[1], 0, n)], *inputs[1:])
        )
        for number, block in enumerate(blocks)
    ]
    weak = alone(host, moment, x, cond)
    for handle in handles:
        handle.remove()
    expected = d_u + 7 * (d_c - d_u) + 2 * (d_c - weak)
    agree(moment, expected)


def test_sag(host: Diffusers) -> None:
    config = Config(sag=0.75, sag_threshold=1.0, sag_sigma=1.0)
    moment = first(host, config)
    x, _, away, d_c, d_u = pair(host, moment, config)
    watching = Changed(lambda q: q)
    with WithProcessor(host, watching):
        alone(host, moment, x, away)
    received = watching.weights.mean(1).sum(1).reshape(1, 1, 4, 4) > 1
    mask = interpolate(received.float(), (8, 8))
    assert 0 < mask.mean() < 1
    kernel = torch.exp(-0.5 * torch.arange(-4.0, 5.0) ** 2)
    kernel = (kernel / kernel.sum()).outer(kernel / kernel.sum()).expand(4, 1, 9, 9)
    padded = torch.nn.functional.pad(d_u, (4, 4, 4, 4), mode="reflect")
    blurred = torch.nn.functional.conv2d(padded, kernel, groups=4)
    image = mask * blurred + (1 - mask) * d_u
    again = alone(host, moment, image + x - d_u, away)
    expected = d_u + 7 * (d_c - d_u) + 0.75 * (image - again)
    agree(moment, expected)
    assert moment.guided.record.evaluations == 3


def test_freeu_is_diffusers_own(host: Diffusers) -> None:
    config = Config(freeu="version 1", freeu_b1=1.3, freeu_b2=1.3, freeu_s1=0.5, freeu_s2=0.5)
    moment = first(host, config)
    # diffusers counts stages where the authors' code goes by channels; equal factors mean the same to both.
    host.pipe.unet.enable_freeu(s1=0.5, s2=0.5, b1=1.3, b2=1.3)
    try:
        _, _, _, d_c, d_u = pair(host, moment, config)
    finally:
        host.pipe.unet.disable_freeu()
    agree(moment, d_u + 7 * (d_c - d_u))
    assert not torch.allclose(moment.guided.prediction, first(host, Config()).guided.prediction, atol=1e-3)


def test_freeu_version_2_is_the_papers_formula_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of diffusers' FreeU, which is version 1; the stages by their channels, as in the authors' code."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=16, block_out_channels=(8, 16, 32), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8,
        attention_head_dim=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    ).eval()  # fmt: skip
    factors, seen = {32: (1.3, 0.6), 16: (1.5, 0.4)}, []

    def version_2(_stage: int, backbone: Tensor, skip: Tensor, **_factors: float) -> tuple[Tensor, Tensor]:
        seen.append(backbone.shape[1])
        b, s = factors.get(backbone.shape[1], (1.0, 1.0))
        h, half = backbone.double().clone(), backbone.shape[1] // 2
        for image in h:
            mean = image.mean(0)
            image[:half] *= (b - 1) * (mean - mean.min()) / (mean.max() - mean.min()) + 1
        spectrum = torch.fft.fftshift(torch.fft.fft2(skip.double()), dim=(-2, -1))
        row, column = (size // 2 for size in skip.shape[-2:])
        spectrum[..., row - 1 : row + 1, column - 1 : column + 1] *= s
        filtered = torch.fft.ifft2(torch.fft.ifftshift(spectrum, dim=(-2, -1))).real
        return h.to(backbone), filtered.to(skip)

    x, text = torch.randn(2, 4, 16, 16), torch.randn(2, 5, 8)
    settings = FreeU(1.3, 1.5, 0.6, 0.4)
    with torch.inference_mode():
        plain = unet(x, 500.0, text).sample
        with hooked(parts_of(unet), Wanted([Row(Pass.COND)] * 2, (16, 16), 0, freeu=settings)):
            ours = unet(x, 500.0, text).sample
        monkeypatch.setattr("diffusers.models.unets.unet_2d_blocks.apply_freeu", version_2)
        unet.enable_freeu(s1=1.0, s2=1.0, b1=1.0, b2=1.0)
        theirs = unet(x, 500.0, text).sample
    assert {16, 32} <= set(seen)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert (ours - plain).abs().max() > 1e-3


def test_two_scale(host: Diffusers) -> None:
    moment = first(host, config := Config(twoscale=3))
    x, _, _, d_c, d_b = pair(host, moment, config)
    nothing = conditions(host, replace(JOB, config=config)).empty.at(0)
    d_0 = alone(host, moment, x, nothing)
    expected = d_0 + 7 * (d_c - d_0) + 3 * (d_c - d_b)
    agree(moment, expected)


def test_cfg_pp_steps_with_the_noise_of_the_negative(host: Diffusers) -> None:
    moments = list(sample(host, replace(JOB, config=Config(cfgpp=0.5))))
    x, _, _, d_c, d_u = pair(host, moments[0], Config())
    guided = d_u + 0.5 * (d_c - d_u)
    expected = guided + (x - d_u) / moments[0].sigma * moments[1].sigma
    torch.testing.assert_close(moments[0].latents / x.std(), expected / x.std(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sampler", ["DPM++ 2M", "UniPC"])
def test_cfg_pp_is_refused_where_a_step_has_no_noise_to_choose(sampler: str) -> None:
    with pytest.raises(JobError, match="use Euler a, Euler, DDIM"):
        replace(JOB, sampler=sampler, config=Config(cfgpp=0.5))


@pytest.fixture
def calls(host: Diffusers, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Rows of every model call."""
    seen: list[int] = []
    forward = host.pipe.unet.forward

    def counted(x: Tensor, *args: Any, **rest: Any) -> Any:
        seen.append(x.shape[0])
        return forward(x, *args, **rest)

    monkeypatch.setattr(host.pipe.unet, "forward", counted)
    yield seen


@pytest.mark.parametrize(
    ("config", "rows"),
    [
        (Config(untitled=True, null="encoded"), [1]),
        (Config(), [2]),
        (Config(pag=1), [3]),
        (Config(pag=1, seg="own pass"), [4]),
        (Config(pag=1, seg="own pass", tpg=1), [5]),
        (Config(untitled=True, null="encoded", seg="in the negative"), [2]),
        (Config(untitled=True, null="encoded", pag=1), [2]),
        (Config(untitled=True, null="zeros"), [2]),
        (Config(untitled=True, untitled_cfg=1, null="zeros"), [1]),
        (Config(sag=0.5), [2, 1]),
        (Config(untitled=True, null="encoded", sag=0.5), [1, 1]),
        (Config(twoscale=3), [3]),
        (Config(pag=1, guidance_start=0.5), [2]),
        (Config(cfg_start=0.5), [1]),
    ],
)
def test_rows_of_a_step(host: Diffusers, calls: list[int], config: Config, rows: list[int]) -> None:
    moment = first(host, config)
    assert calls == rows
    assert moment.guided.record.evaluations == sum(rows)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_technique_acts_leaves_nothing_behind_and_does_not_mind_a_batch(host: Diffusers, name: str) -> None:
    config = Config(**TECHNIQUES[name])
    plain = first(host, Config()).guided.prediction
    with_it = first(host, config)
    assert Technique(name) in with_it.guided.record.acted
    assert (with_it.guided.prediction - plain).abs().max() > 1e-4
    both = first(host, config, replace(JOB, batch=2)).guided.prediction
    agree(with_it, both[:1])
    assert torch.equal(first(host, Config()).guided.prediction, plain)
    hooks = [module._forward_hooks or module._forward_pre_hooks for module in host.pipe.unet.modules()]
    assert not any(hooks)


@pytest.fixture(scope="module")
def singles(sd1: Diffusers) -> dict[str, Tensor]:
    """The latents that each technique alone leaves after two steps."""
    jobs = {name: replace(JOB, steps=2, config=Config(**fields)) for name, fields in TECHNIQUES.items()}
    return {name: list(sample(sd1, job))[-1].latents for name, job in jobs.items()}


@pytest.mark.parametrize("pair", list(combinations(TECHNIQUES, 2)), ids=" + ".join)
def test_every_pair_runs_and_differs_from_each_alone(
    sd1: Diffusers, singles: dict[str, Tensor], pair: tuple[str, str]
) -> None:
    one, other = (TECHNIQUES[name] for name in pair)
    if {"seg"} <= one.keys() & other.keys():
        pytest.skip("two values of one field")
    made = list(sample(sd1, replace(JOB, steps=2, config=Config(**{**one, **other}))))
    assert torch.isfinite(made[-1].latents).all()
    acted = {technique.value for moment in made for technique in moment.guided.record.acted}
    inert = {found.technique.value for moment in made for found in moment.guided.record.inert}
    assert set(pair) <= acted | inert
    if set(pair) <= acted:
        assert not any(torch.equal(made[-1].latents, singles[name]) for name in pair)


@pytest.mark.parametrize("name", ["PAG", "SEG", "TPG", "SAG"])
def test_parts_of_an_and_prompt_are_pushed_by_their_own_rows(sd1: Diffusers, name: str) -> None:
    halves = replace(JOB, prompt="a red star :0.5 AND a red star :0.5")
    config = Config(**TECHNIQUES[name])
    found, whole = first(sd1, config, halves), first(sd1, config)
    torch.testing.assert_close(found.guided.prediction, whole.guided.prediction, atol=1e-4, rtol=1e-4)


def test_untitled_does_not_use_what_is_typed(host: Diffusers) -> None:
    typed, empty = (first(host, UNTITLED, replace(JOB, prompt=text, negative=text)) for text in ("a red star", ""))
    assert torch.equal(typed.latents, empty.latents)
    assert not torch.equal(typed.latents, first(host, Config()).latents)


@pytest.mark.parametrize("null", ["zeros", "encoded"])
def test_u0_is_the_model_with_no_guidance_whatever_empty_is(host: Diffusers, null: str) -> None:
    found = first(host, replace(PRESETS["U0"], null=null), replace(JOB, prompt=""))
    assert found.guidance_norm == 0
    assert torch.equal(found.latents, first(host, Config(), replace(JOB, prompt="", cfg=1.0)).latents)


def test_what_empty_means(host: Diffusers) -> None:
    def moved(null: str) -> float:
        return first(host, Config(untitled=True, null=null)).guidance_norm

    assert moved("zeros") > 0
    assert moved("encoded") == moved("same as the positive") == 0
    assert (moved("as the host does") > 0) is host.is_xl


def test_the_empty_negative_of_a_prompt_is_a_choice_too(host: Diffusers) -> None:
    made = {
        null: first(host, Config(null=null), replace(JOB, negative="")).guided.prediction
        for null in ("as the host does", "zeros", "encoded", "same as the positive")
    }
    same_as_host = "zeros" if host.is_xl else "encoded"
    assert torch.equal(made["as the host does"], made[same_as_host])
    assert not torch.equal(made["zeros"], made["encoded"])
    cfg_1 = first(host, Config(), replace(JOB, negative="", cfg=1.0)).guided.prediction
    torch.testing.assert_close(made["same as the positive"], cfg_1)


def test_only_a_unet_has_the_parts() -> None:
    with pytest.raises(NoUNet, match="Linear is no UNet"):
        parts_of(torch.nn.Linear(1, 1))
