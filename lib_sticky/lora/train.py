"""Training a LoRA's factors on latents: one step after another, each drawn from its own number, so that it resumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as nnf
from torch import Tensor

from .adapters import Adapter

Predict = Callable[[Tensor, Tensor, list[int]], Tensor]
"""The model's raw output for noisy latents [B, C, h, w], timesteps [B], and which examples they were."""

_STEPS_APART = 1_000_003
"""Seeds of neighbouring runs are not those of each other's next steps."""


@dataclass(frozen=True)
class Pace:
    """How long and how fast: steps, examples a step, learning rate, longest gradient, seed."""

    steps: int = 200
    batch: int = 6
    rate: float = 1e-3
    clip: float = 1.0
    seed: int = 0


class Trainer:
    """AdamW on the factors of `adapters`, whose branches are hooked to the model that `predict` calls.

    `latents` [N, C, h, w] are the examples as the model sees them; `alphas` the cumulative products of 1 - beta by
    timestep; `velocity` says that the model predicts v (Salimans and Ho, arXiv 2202.00512) and not the noise.
    """

    def __init__(
        self, adapters: Mapping[str, Adapter], latents: Tensor, predict: Predict, alphas: Tensor, pace: Pace,
        *, velocity: bool = False,
    ) -> None:  # fmt: skip
        self.adapters, self.pace = adapters, pace
        self.losses: list[float] = []
        self._latents, self._predict, self._alphas, self._velocity = latents, predict, alphas.float(), velocity
        self._weights = [weight for adapter in adapters.values() for weight in adapter.parameters()]
        self._optimizer = torch.optim.AdamW(self._weights, lr=pace.rate, weight_decay=1e-2)

    def step(self) -> float:
        """Make the next step and return its loss."""
        draw = torch.Generator().manual_seed(self.pace.seed * _STEPS_APART + len(self.losses))
        rows = torch.randint(len(self._latents), (self.pace.batch,), generator=draw).tolist()
        times = torch.randint(len(self._alphas), (self.pace.batch,), generator=draw)
        noise = torch.randn(self.pace.batch, *self._latents.shape[1:], generator=draw)
        latents, place = self._latents[rows], self._latents.device
        noise, times = noise.to(place), times.to(place)
        kept = self._alphas.to(place)[times].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        wanted = kept.sqrt() * noise - (1 - kept).sqrt() * latents if self._velocity else noise
        loss = nnf.mse_loss(self._predict(noisy, times, rows).float(), wanted)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, self.pace.clip)
        self._optimizer.step()
        self.losses.append(float(loss.detach()))
        return self.losses[-1]

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, in tensors and plain values."""
        factors = {name: adapter.state_dict() for name, adapter in self.adapters.items()}
        return {"factors": factors, "optimizer": self._optimizer.state_dict(), "losses": list(self.losses)}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`, to the very losses of a run that was not interrupted."""
        for name, adapter in self.adapters.items():
            adapter.load_state_dict(state["factors"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self.losses[:] = state["losses"]
