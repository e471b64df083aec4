"""The odds gate, first by hand, then on the 8-dimensional mixture of which every score is known.

The mixture: prompt c = 0 or 1 sets coordinate 0 to -2 or 2 and coordinate 2 ("saturation") to 0 or 1; bad b = 0 or 1
sets coordinate 1 to -1 or 1; P(b | c = 1) = 0.6; the prompted predictions leak 15 % of the unprompted one. 3,000
samples, 40 Euler steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from guidance_samples import close, latents
from torch import Tensor

from lib_sticky.guidance.cfg import guide
from lib_sticky.guidance.combine import combine
from lib_sticky.guidance.displace import State
from lib_sticky.guidance.odds_gate import OddsGate, OddsState, begin, gain, observe, predict
from lib_sticky.guidance.passes import Pass, Step
from lib_sticky.guidance.plan import plan_step
from lib_sticky.guidance.selection import Selection
from lib_sticky.guidance.two_scale import TwoScale

SIZE, SPREAD, LEAK, SAMPLES, STEPS = 8, 0.35, 0.15, 3000, 40
WEIGHTS = {(0, 0): 0.30, (0, 1): 0.45, (1, 0): 0.10, (1, 1): 0.15}
ALLOWED = {"u": list(WEIGHTS), "c": [(1, 0), (1, 1)], "b": [(0, 1), (1, 1)], "cb": [(1, 1)]}


def centre(c: int, b: int) -> Tensor:
    mean = torch.zeros(SIZE, dtype=torch.float64)
    mean[0], mean[1], mean[2] = 2.0 * (2 * c - 1), 2.0 * b - 1, float(c)
    return mean


def exact(x: Tensor, sigma: float, name: str) -> Tensor:
    """The mean of the clean sample given noisy x, within the modes that `name` allows."""
    means = torch.stack([centre(*key) for key in ALLOWED[name]])
    variance = SPREAD**2 + sigma**2
    logits = torch.log(torch.tensor([WEIGHTS[key] for key in ALLOWED[name]], dtype=torch.float64))
    logits = logits + (x @ means.T - means.square().sum(1) / 2) / variance
    return (logits.softmax(1) @ means * sigma**2 + x * SPREAD**2) / variance


def model(x: Tensor, sigma: float, name: str) -> Tensor:
    return exact(x, sigma, name) if name == "u" else (1 - LEAK) * exact(x, sigma, name) + LEAK * exact(x, sigma, "u")


def noise_levels() -> list[float]:
    ramp = np.arange(STEPS) / (STEPS - 1)
    return [*((20 ** (1 / 7) + ramp * (0.02 ** (1 / 7) - 20 ** (1 / 7))) ** 7), 0.0]


def sample(denoise: Callable[[int, Tensor, float], Tensor], ancestral: bool = False) -> dict[str, float]:
    sigmas, fresh = noise_levels(), np.random.default_rng(2)
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(SAMPLES, SIZE))) * sigmas[0]
    for i, (sigma, after) in enumerate(pairwise(sigmas)):
        denoised = denoise(i, x, sigma)
        up = min(after, math.sqrt(after**2 * (sigma**2 - after**2) / sigma**2)) if ancestral else 0.0
        down = math.sqrt(after**2 - up**2)
        x = x + (down - sigma) * (x - denoised) / sigma
        if up:
            x = x + torch.from_numpy(fresh.normal(size=tuple(x.shape))) * up
    return measured(x)


def measured(x: Tensor) -> dict[str, float]:
    keys = list(WEIGHTS)
    nearest = torch.cdist(x[:, :3], torch.stack([centre(*key) for key in keys])[:, :3]).argmin(1).tolist()
    return {
        "good": float(np.mean([keys[i] == (1, 0) for i in nearest])),
        "over_c": float(x[:, 0].mean()) - 2,
        "over_b": -1 - float(x[:, 1].mean()),
        "saturation": float(x[:, 2].mean()) - 1,
        "distance": float((x - centre(1, 0)).norm(dim=1).median()) / SPREAD,
    }


def constant(positive: str, negative: str, scale: float) -> Callable[[int, Tensor, float], Tensor]:
    return lambda _, x, sigma: guide(model(x, sigma, positive), model(x, sigma, negative), scale)


def tracked(gate: OddsGate, scale: float = 25.0) -> Callable[[int, Tensor, float], Tensor]:
    """The gate as hosts run it: plan, predictions, combine, the state handed on."""
    selection, state = Selection(odds_gate=gate), [State()]

    def denoise(i: int, x: Tensor, sigma: float) -> Tensor:
        plan = plan_step(selection, Step(i, STEPS, scale, sigma=sigma))
        predictions = {Pass.COND: model(x, sigma, "c"), Pass.UNCOND: model(x, sigma, "cb")}
        done = combine(selection, plan, x, predictions, state[0])
        state[0] = done.state
        return done.prediction

    return denoise


def informed(_: int, x: Tensor, sigma: float) -> Tensor:
    """The gate when p is known exactly instead of tracked."""
    variance = SPREAD**2 + sigma**2
    bad = math.log(0.6) - (x - centre(1, 1)).square().sum(1) / (2 * variance)
    good = math.log(0.4) - (x - centre(1, 0)).square().sum(1) / (2 * variance)
    state = OddsState(-torch.nn.functional.softplus(good - bad))
    cond, uncond = model(x, sigma, "c"), model(x, sigma, "cb")
    return cond + gain(state, OddsGate(), 24.0)[:, None] * (cond - uncond)


def two_scale(_: int, x: Tensor, sigma: float) -> Tensor:
    selection = Selection(two_scale=TwoScale(6.0))
    plan = plan_step(selection, Step(0, 1, 3.0, sigma=sigma))
    names = {Pass.COND: "c", Pass.UNCOND: "cb", Pass.NULL: "u"}
    return combine(selection, plan, x, {p: model(x, sigma, names[p]) for p in plan.passes}, State()).prediction


ROWS = [  # the table of the design note: P(c and not b), overshoot along c and b, saturation, distance
    ("cond only", constant("c", "u", 1.0), False, (0.41, -0.13, -1.19, -0.04, 5.3)),
    ("empty negative, 7", constant("c", "u", 7.0), False, (0.41, 0.78, -1.19, 0.19, 5.6)),
    ("empty negative, 25", constant("c", "u", 25.0), False, (0.41, 1.57, -1.19, 0.39, 6.9)),
    ("negative b, 7", constant("c", "b", 7.0), False, (0.98, 0.78, 8.84, 0.19, 26.3)),
    ("negative b, 25", constant("c", "b", 25.0), False, (1.0, 1.57, 38.63, 0.39, 110.7)),
    ("sticky, 3", constant("c", "cb", 3.0), False, (0.83, -0.13, 1.86, -0.04, 8.0)),
    ("sticky, 7", constant("c", "cb", 7.0), False, (0.98, -0.13, 8.84, -0.04, 26.3)),
    ("sticky, 25", constant("c", "cb", 25.0), False, (1.0, -0.13, 38.63, -0.04, 110.6)),
    ("two-scale, 3 and 6", two_scale, False, (0.98, 0.39, 8.84, 0.09, 26.3)),
    ("gated, exact p", informed, False, (0.98, -0.13, -0.11, -0.04, 2.7)),
    ("gated, tracked, ancestral", tracked(OddsGate(1.0, 0.6)), True, (0.88, -0.03, -0.17, -0.01, 2.6)),
    ("gated, tracked", tracked(OddsGate(1.0, 0.6)), False, (0.70, -0.13, -0.51, -0.04, 3.0)),
    ("gated, tracked, strength 3", tracked(OddsGate(3.0, 0.6)), False, (0.98, -0.13, 0.29, -0.04, 2.8)),
    (
        "gated, tracked, evidence 0.2",
        tracked(OddsGate(1.0, 0.6, evidence=0.2)),
        False,
        (0.75, -0.13, -0.20, -0.04, 3.2),
    ),
    ("gated, tracked, cap 6", tracked(OddsGate(1.0, 0.6, 6.0)), False, (0.70, -0.13, -0.51, -0.04, 3.0)),
    ("gated, tracked, prior 0.1", tracked(OddsGate(1.0, 0.1)), False, (0.43, -0.13, -1.13, -0.04, 5.1)),
    ("gated, tracked, prior 0.01", tracked(OddsGate(1.0, 0.01)), False, (0.41, -0.13, -1.19, -0.04, 5.2)),
]


@pytest.mark.parametrize(("denoise", "ancestral", "stated"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_toy(denoise, ancestral: bool, stated: tuple[float, ...]):
    found = sample(denoise, ancestral)
    for value, expected in zip(list(found.values())[:4], stated[:4], strict=True):
        assert value == pytest.approx(expected, abs=0.0101)
    assert found["distance"] == pytest.approx(stated[4], abs=0.06)


def test_gain_is_strength_times_odds_within_cap_and_ceiling():
    state = OddsState(torch.log(torch.tensor([0.5, 0.75, 0.9], dtype=torch.float64)))
    close(gain(state, OddsGate(1.0), 24.0), [1.0, 3.0, 9.0], 1e-9)
    close(gain(state, OddsGate(2.0, cap=5.0), 24.0), [2.0, 5.0, 5.0], 1e-9)
    close(gain(state, OddsGate(2.0, cap=5.0), 4.0), [2.0, 4.0, 4.0], 1e-9)


def test_evidence_is_the_ratio_of_the_two_transitions():
    x, after, cond, bad = (latents(i, 2, 4, 3, 3, dtype=torch.float64) for i in range(4))
    sigma, below = 3.0, 2.5
    state = observe(predict(begin(OddsGate(prior=0.6), x), x, cond, bad, sigma), after, below)
    kept = below**2 / sigma**2
    variance = below**2 * (1 - kept)
    for i in range(2):
        likelihood = [
            -float((after[i] - kept * x[i] - (1 - kept) * d[i]).square().sum()) / (2 * variance) for d in (bad, cond)
        ]
        expected = math.log(0.6) + likelihood[0] - likelihood[1]
        expected = min(max(expected, math.log(1e-6)), math.log(1 - 1e-3))
        assert float(state.log_posterior[i]) == pytest.approx(expected, abs=1e-9)


def test_no_evidence_without_a_falling_noise_level_or_a_difference():
    x = latents(0, 2, 4, 3, 3)
    first = predict(begin(OddsGate(prior=0.3), x), x, x + 1, x - 1, 2.0)
    for sigma in (2.0, 5.0, 0.0):
        assert torch.equal(observe(first, x + 3, sigma).log_posterior, first.log_posterior)
    same = predict(begin(OddsGate(prior=0.3), x), x, x, x, 2.0)
    assert torch.equal(observe(same, x + 3, 1.0).log_posterior, same.log_posterior)


def test_weak_evidence_moves_less():
    x = latents(0, 2, 4, 3, 3)
    first = predict(begin(OddsGate(prior=0.3), x), x, x + 0.1, x - 0.1, 2.0)
    full, half, none = (observe(first, x + 0.2, 1.5, weight).log_posterior for weight in (1.0, 0.5, 0.0))
    close(half - first.log_posterior, (0.5 * (full - first.log_posterior)).numpy(), 1e-9)
    assert torch.equal(none, first.log_posterior)


def test_states_are_values():
    x = latents(0, 1, 4, 3, 3)
    first = predict(begin(OddsGate(), x), x, x + 1, x - 1, 2.0)
    before = first.log_posterior.clone()
    observe(first, x - 5, 1.0)
    assert torch.equal(first.log_posterior, before)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: OddsGate(strength=0.0), "gate strength is 0.0; use a number that is greater than 0"),
        (lambda: OddsGate(prior=1.0), "gate prior is 1.0"),
        (lambda: OddsGate(cap=0.0), "gate cap is 0.0"),
        (lambda: OddsGate(evidence=2.0), "gate evidence is 2.0"),
    ],
)
def test_values_out_of_range_are_named(build, words: str):
    with pytest.raises(ValueError, match=words):
        build()
