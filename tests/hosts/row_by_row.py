"""The image that guidance must give on any host: every row by a call of its own, then combined without the host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from lib_sticky.config import Config
from lib_sticky.guidance import Pass, Selection, State, Step, Technique, combine, plan_step
from lib_sticky.guidance.cfg import compose
from lib_sticky.guidance.cfg_pp import for_euler
from lib_sticky.guidance.passes import Plan, Row
from lib_sticky.guidance.report import short
from lib_sticky.guidance.sag import Degraded, attention_mask, degrade, degraded_input
from lib_sticky.hosts.selected import selected
from lib_sticky.hosts.unet_hooks import Wanted, hooked
from lib_sticky.hosts.unet_parts import parts_of
from tests.hosts.fake_forge import CHANNELS, WORDS, Model
from tests.techniques import TECHNIQUES as ALONE

SIGMAS = (8.0, 5.0, 2.0, 0.0)
TECHNIQUES: dict[str, dict[str, Any]] = {
    **ALONE,
    "all that share a step": {
        "pag": 1.0,
        "seg": "own pass",
        "tpg": 1.0,
        "sag": 0.5,
        "freeu": "version 1",
        "rescale": 0.5,
    },
}


def text(seed: int, images: int = 1, words: int = 5) -> Tensor:
    return torch.randn(images, words, WORDS, generator=torch.Generator().manual_seed(seed))


def sample_euler(_model: Any, _x: Tensor, sigmas: Any = None) -> Any:
    return sigmas


class OnePass:
    """One sampling pass of a fake host, whose `model` runs; its latents are always the same."""

    def __init__(self, model: Model, denoiser: Any, engine: Any) -> None:
        self.model, self.denoiser = model, denoiser
        self.sampler = SimpleNamespace(model_wrap_cfg=denoiser, func=sample_euler)
        self.p = SimpleNamespace(sampler=self.sampler, sd_model=engine, get_token_merging_ratio=lambda **_: 0.0)
        self.guiding: Any = None
        self.images = 1
        self.scale = 7.0

    def empty(self) -> Tensor:
        return text(99).repeat(self.images, 1, 1)

    def x(self) -> Tensor:
        noise = torch.randn(self.images, CHANNELS, 4, 4, generator=torch.Generator().manual_seed(5))
        return noise * SIGMAS[1]


def one(host: OnePass, how: Row, plan: Plan, selection: Selection, x: Tensor, cond: Tensor) -> tuple[Tensor, Any]:
    """The prediction of one image's row by a call of its own, and the attention of its middle block."""
    model = host.model
    sigma = selection.seg.sigma if selection.seg else 0.0
    freeu = selection.freeu if Technique.FREEU in plan.acting else None
    wanted = Wanted([how], (4, 4), plan.step.index, sigma, freeu, (0,))
    with hooked(parts_of(model.diffusion_model), wanted) as seen:
        return model.denoised(x, torch.full((1,), SIGMAS[1]), cond), seen.attention


def expected(
    host: OnePass, fields: dict[str, Any], texts: list[Tensor], negative: Tensor, weights: list[float]
) -> Tensor:
    """Row by row, then combined without the host; for one image, as the sampler is to be given it."""
    selection, x = selected(Config(**fields)), host.x()
    composed = weights != [1.0]
    step = Step(3, 10, host.scale, and_prompt=composed, sigma=SIGMAS[1], sigma_next=SIGMAS[2])
    plan = plan_step(selection, step)
    fixed = {Pass.UNCOND: negative, Pass.NULL: host.empty()}
    found: dict[Pass, Tensor] = {}
    attention: dict[Pass, Any] = {}
    for name in (Pass.NULL, Pass.UNCOND, Pass.COND, Pass.PAG, Pass.SEG, Pass.TPG):
        if name not in plan.passes:
            continue
        how = plan.row(name)
        if how.conditioning in fixed:
            found[name], attention[name] = one(host, how, plan, selection, x, fixed[how.conditioning])
            continue
        rows = [one(host, how, plan, selection, x, each) for each in texts]
        attention[name] = rows[0][1]
        away = found.get(Pass.NULL, found.get(Pass.UNCOND))
        found[name] = rows[0][0] if away is None else compose([row for row, _ in rows], weights, away)
    degraded = None
    if plan.degraded and selection.sag:
        base = plan.sag_base
        mask = attention_mask(attention[base], 4, 4, selection.sag.threshold)
        image = degrade(found[base], mask, selection.sag.sigma)
        cond = fixed.get(base, texts[0])
        again, _ = one(host, Row(base), plan, selection, degraded_input(x, found[base], image), cond)
        degraded = Degraded(image, again)
    guided = combine(selection, plan, x, found, State(), degraded)
    if guided.renoise is None:
        return guided.prediction
    return for_euler(guided.prediction, guided.renoise, SIGMAS[1], SIGMAS[2])


def agree(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-5)


def check_rows(host: Any, name: str) -> Any:
    """A technique on a batch of two: each image is what its rows one by one give. Returns the pass."""
    host.scale, images = 4.0, 2
    cond, negative = text(1, images), text(2, images, words=10)
    plain = host.step([cond], negative)
    guiding = host.guide(TECHNIQUES[name])
    host.denoiser.step = 3
    both = host.step([cond], negative)
    assert not torch.equal(both, plain)
    noise = host.x()
    for image in range(images):
        host.images = 1
        host.x = lambda image=image: noise[image : image + 1]
        agree(both[[image]], expected(host, TECHNIQUES[name], [cond[[image]]], negative[[image]], [1.0]))
    assert name in short(guiding.records) or name.startswith("all")
    return guiding


def check_and_prompt(host: Any, name: str) -> None:
    """A technique on an AND prompt with weights is what its rows one by one give."""
    texts, negative, weights = [text(1), text(3)], text(2), [1.0, 0.5]
    host.guide(TECHNIQUES[name])
    agree(host.step(texts, negative, weights), expected(host, TECHNIQUES[name], texts, negative, weights))
