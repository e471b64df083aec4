"""The odds gate: a negative that weakens by itself once the picture is no longer likely to be what it names.

Exact negation needs s(c) - p / (1 - p) * grad log p(b | x, c), where p is the probability that the picture is "bad"
given the latents. A constant scale w freezes the odds p / (1 - p) at w - 1. Here p is tracked along the sampling from
the two predictions that are there anyway, D_c and D_cb. Source: Koulischer et al., arXiv 2410.14398, whose negative
is unconditional; the conditional form needs no further pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .ranges import require
from .reductions import dot, precise

_LEAST = math.log(1e-6)
_MOST = math.log(1 - 1e-3)


@dataclass(frozen=True)
class OddsGate:
    """strength: factor on the odds. prior: probability of "bad" before the first step. cap: greatest gain.

    evidence: weight of each step's evidence; 1 is Bayes' rule for exact predictions. Evidence grows with the number of
    latent values, and the push itself counts against "bad", so that in large latents 1 can end the push within a few
    steps. The gain is min(strength * p / (1 - p), cap, the scale's own gain): the gate only ever weakens.
    """

    strength: float = 1.0
    prior: float = 0.5
    cap: float = math.inf
    evidence: float = 1.0

    def __post_init__(self) -> None:
        require("gate strength", self.strength, 0.0, above=True)
        require("gate prior", self.prior, 1e-6, 1 - 1e-3)
        require("gate cap", self.cap, 0.0, above=True)
        require("gate evidence", self.evidence, 0.0, 1.0)


@dataclass(frozen=True)
class Prediction:
    """What the last step predicted: latents, the middle and the difference of D_c and D_cb, and the noise level."""

    x: Tensor
    middle: Tensor
    displacement: Tensor
    sigma: float


@dataclass(frozen=True)
class OddsState:
    """log p for each image, [B], and the prediction that the next latents are judged by."""

    log_posterior: Tensor
    last: Prediction | None = None


def begin(settings: OddsGate, like: Tensor) -> OddsState:
    """The state before the first step, for a batch of latents such as `like`."""
    prior = precise(like.new_zeros(like.shape[0])) + math.log(settings.prior)
    return OddsState(prior)


def observe(state: OddsState, x: Tensor, sigma: float, weight: float = 1.0) -> OddsState:
    """Judge which of the last step's two predictions the new latents came from, and forget that step.

    With a = sigma'^2 / sigma^2 the two transitions are Gaussians around a x + (1 - a) D of one variance, so
    log p falls by weight <x' - a x - (1 - a) (D_c + D_cb) / 2, D_c - D_cb> / sigma'^2.
    x is in the variance-exploding form. Where the noise has not fallen (the second call of a second-order step) there
    is no transition to judge.
    """
    last = state.last
    if last is None or not 0 < sigma < last.sigma:
        return OddsState(state.log_posterior)
    kept = (sigma / last.sigma) ** 2
    surprise = precise(x) - kept * precise(last.x) - (1 - kept) * precise(last.middle)
    evidence = dot(surprise, last.displacement) / sigma**2
    return OddsState((state.log_posterior - weight * evidence).clamp(_LEAST, _MOST))


def predict(state: OddsState, x: Tensor, cond: Tensor, bad: Tensor, sigma: float) -> OddsState:
    """The state that remembers this step's predictions D_c and D_cb at latents x."""
    return OddsState(state.log_posterior, Prediction(x, (cond + bad) / 2, cond - bad, sigma))


def gain(state: OddsState, settings: OddsGate, ceiling: float) -> Tensor:
    """How far to push each image away from "bad", [B]: strength * odds, at most the cap and the ceiling."""
    log_posterior = state.log_posterior.clamp(max=_MOST)
    odds = torch.exp(log_posterior) / -torch.expm1(log_posterior)
    return (settings.strength * odds).clamp(max=min(settings.cap, ceiling))
