"""What the watch sees of a pass of A1111 and of Forge: numbers chosen by hand, no model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from lib_sticky.hosts.a1111_watch import A1111Watch
from lib_sticky.hosts.forge_watch import ForgeWatch
from lib_sticky.hosts.watch import JobWatch
from lib_sticky.lab.watching import Watched

SHAPE = (1, 4, 2, 2)


def flat(value: float) -> Tensor:
    return torch.full(SHAPE, value)


class Denoiser:
    """A1111's CFGDenoiser as far as the watch touches it: D_c is 3, D_u is 1, the combination D_u + w (D_c - D_u)."""

    def __init__(self, rows: list[float], conds_list: list[list[tuple[int, float]]], uncond_rows: int = 1) -> None:
        self.step, self.total_steps = 4, 10
        self.rows, self.conds_list, self.uncond_rows = rows, conds_list, uncond_rows
        self.watch: Any = None
        self.calls: list[Any] = []

    def inner_model(self, x: Tensor, sigma: Tensor, cond: Any) -> Tensor:
        self.calls.append((len(x), float(sigma[0]), cond))
        return torch.full_like(x, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        params = SimpleNamespace(
            denoiser=self, x=torch.cat([x, x]), sigma=torch.tensor([5.0, 5.0]), image_cond=torch.zeros(2, 5, 1, 1),
            text_uncond=torch.zeros(1, 77, 4),
        )  # fmt: skip
        if self.watch:
            self.watch.before(params, lambda: torch.zeros(1, 77, 4))
        out = torch.cat([flat(value) for value in self.rows])
        return self.combine_denoised(out, self.conds_list, torch.zeros(self.uncond_rows, 77, 4), 7.0)

    def combine_denoised(self, x_out: Tensor, conds_list: Any, uncond: Tensor, cond_scale: float) -> Tensor:
        del conds_list, uncond
        return x_out[-1:] + cond_scale * (x_out[:1] - x_out[-1:])


def watched(denoiser: Denoiser, probing: bool = False) -> tuple[Tensor, Watched]:
    seen = Watched(strip=True)
    p = SimpleNamespace(sampler=SimpleNamespace(model_wrap_cfg=denoiser))
    denoiser.watch = A1111Watch(p, JobWatch(seen, probing))
    return denoiser.forward(flat(9.0)), seen


def test_a_pass_is_seen_and_not_changed() -> None:
    plain = Denoiser([3.0, 1.0], [[(0, 1.0)]]).forward(flat(9.0))
    out, seen = watched(Denoiser([3.0, 1.0], [[(0, 1.0)]]))
    assert torch.equal(out, plain) and torch.equal(out, flat(15.0))
    assert seen.last is not None
    assert (seen.last.step, seen.last.steps, seen.last.sigma) == (5, 10, 5.0)
    assert torch.equal(seen.last.cond, flat(3.0)) and torch.equal(seen.last.uncond, flat(1.0))
    assert torch.equal(seen.last.guided, flat(15.0))
    assert seen.calls == 1 and seen.steps[0][0].push == 12.0


def test_the_parts_of_an_and_prompt_are_one_prediction() -> None:
    # D_u + (3 - 1) + 0.5 (5 - 1) = 1 + 2 + 2.
    _, seen = watched(Denoiser([3.0, 5.0, 1.0], [[(0, 1.0), (1, 0.5)]]))
    assert seen.last is not None and torch.equal(seen.last.cond, flat(5.0))


@pytest.mark.parametrize(("rows", "uncond_rows"), [([3.0, 3.0], 1), ([3.0], 0)])
def test_a_negative_that_was_not_run_is_none(rows: list[float], uncond_rows: int) -> None:
    _, seen = watched(Denoiser(rows, [[(0, 1.0)]], uncond_rows))
    assert seen.last is not None and seen.last.uncond is None


def test_a_probe_is_one_more_call_with_the_empty_prompt() -> None:
    denoiser = Denoiser([3.0, 1.0], [[(0, 1.0)]])
    denoiser.step = 3  # Of 10 steps the 4th is probed.
    _, seen = watched(denoiser, probing=True)
    assert [call[:2] for call in denoiser.calls] == [(1, 5.0)]
    # |3 - 1| / |3 - 2|, and <1 - 2, 3 - 2> / |3 - 2|^2.
    assert [(probe.step, probe.ratio, probe.dilution) for probe in seen.probes[0]] == [(4, 2.0, -1.0)]


class Unet:
    """Forge's model patcher as far as the watch touches it."""

    def __init__(self) -> None:
        self.after: list[Any] = []

    def clone(self) -> Unet:
        return self

    def set_model_sampler_post_cfg_function(self, function: Any) -> None:
        self.after.append(function)


def forge(probing: bool = False, **changed: Any) -> tuple[Tensor, Watched, list[Any]]:
    seen, unet, asked = Watched(strip=True), Unet(), list[Any]()

    def predict(model: Any, cond: Any, uncond: Any, x: Tensor, sigma: Tensor, options: Any) -> tuple[Tensor, Tensor]:
        asked.append((model, cond, uncond, float(sigma[0]), options))
        return torch.full_like(x, 2.0), torch.zeros_like(x)

    p = SimpleNamespace(sd_model=SimpleNamespace(forge_objects=SimpleNamespace(unet=unet)))
    watch = ForgeWatch(p, JobWatch(seen, probing), lambda cond: [{"cross_attn": cond, "model_conds": {}}], predict)
    watch.before(SimpleNamespace(denoiser=SimpleNamespace(step=3, total_steps=10)), lambda: "nothing")
    first = {"model_conds": {"c_concat": "masked picture"}, "control": "a hint"}
    args = {
        "denoised": flat(15.0), "cond_denoised": flat(3.0), "uncond_denoised": flat(1.0), "cond": [first],
        "sigma": torch.tensor([5.0]), "input": flat(9.0), "model": "model", "model_options": {}, **changed,
    }  # fmt: skip
    return unet.after[0](args), seen, asked


def test_a_pass_of_forge_is_seen_and_not_changed() -> None:
    out, seen, asked = forge()
    assert torch.equal(out, flat(15.0)) and asked == []
    assert seen.last is not None and torch.equal(seen.last.uncond, flat(1.0))
    assert (seen.last.step, seen.last.steps, seen.last.sigma) == (4, 10, 5.0)


def test_forge_leaves_zeros_where_the_negative_was_not_run() -> None:
    _, seen, _ = forge(uncond_denoised=flat(0.0))
    assert seen.last is not None and seen.last.uncond is None


def test_the_probe_of_forge_keeps_all_but_the_text() -> None:
    _, seen, asked = forge(probing=True)
    empty = {"cross_attn": "nothing", "model_conds": {"c_concat": "masked picture"}, "control": "a hint"}
    assert asked == [("model", [empty], None, 5.0, {})]
    assert [(probe.ratio, probe.dilution) for probe in seen.probes[0]] == [(2.0, -1.0)]


def test_a_second_pass_replaces_the_first() -> None:
    seen = Watched(strip=True)
    watch = JobWatch(seen)
    for _ in range(2):
        for step in (0, 1):
            denoiser = Denoiser([3.0, 1.0], [[(0, 1.0)]])
            denoiser.step, denoiser.total_steps = step, 2
            denoiser.watch = A1111Watch(SimpleNamespace(sampler=SimpleNamespace(model_wrap_cfg=denoiser)), watch)
            denoiser.forward(flat(9.0))
    assert [frame.step for frame in seen.strip_frames()] == [1, 2]
    assert len(seen.steps[0]) == 2
