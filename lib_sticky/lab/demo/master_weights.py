"""Training on float32 master weights: AdamW or Muon, warm-up, cosine decay, a running average to keep."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lib_sticky.lab.demo.muon import Muon, is_matrix
from lib_sticky.lab.demo.workers import ALONE, Workers

WARM_UP = 100


class MasterWeights:
    """Owns float32 copies of a module's parameters; the module itself is only a working copy."""

    def __init__(
        self,
        module: nn.Module,
        rate: float,
        steps: int,
        average: float = 0.0,
        matrices: float = 0.0,
        workers: Workers = ALONE,
    ) -> None:
        """`rate`: peak learning rate; `steps`: length of the cosine; `average`: decay of the running mean.

        `matrices`: how many times `rate` Muon takes on matrices, which AdamW steers where it is 0; `workers`: those who
        share the batch.
        """
        self.working = [p for p in module.parameters() if p.requires_grad]
        self.master = [p.detach().float().clone() for p in self.working]
        self.averaged = [p.clone() for p in self.master] if average else self.master
        self.decay, self.rate, self.steps, self.done = average, rate, steps, 0
        self.workers, self.matrices = workers, matrices
        steered = [bool(matrices) and is_matrix(p) for p in self.master]
        self.muon = Muon([p for p, yes in zip(self.master, steered, strict=True) if yes])
        rest = [p for p, yes in zip(self.master, steered, strict=True) if not yes]
        self.adam = torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)

    def rate_now(self) -> float:
        """Learning rate of the next step."""
        warm = min(1.0, (self.done + 1) / WARM_UP)
        return self.rate * warm * max(0.02, 0.5 * (1 + math.cos(math.pi * min(1.0, self.done / self.steps))))

    def step(self, loss: Tensor) -> None:
        """One update from `loss`: gradients clipped to norm 1, a step that is not finite is left out."""
        loss.backward()
        for own, copy in zip(self.master, self.working, strict=True):
            own.grad, copy.grad = (None if copy.grad is None else copy.grad.float()), None
        self.workers.average([own.grad for own in self.master if own.grad is not None])
        norm = torch.nn.utils.clip_grad_norm_(self.master, 1.0)
        self.adam.param_groups[0]["lr"] = self.rate_now()
        if torch.isfinite(norm):
            self.adam.step()
            self.muon.step(self.matrices * self.rate_now())
        self.done += 1
        self._write(self.master)
        if self.decay:
            keep = min(self.decay, (1 + self.done) / (10 + self.done))
            torch._foreach_lerp_(self.averaged, self.master, 1 - keep)

    @torch.no_grad()
    def _write(self, source: list[Tensor]) -> None:
        torch._foreach_copy_(self.working, source)

    def settle(self) -> None:
        """Put the running average (or the master weights, where none is kept) into the working copy."""
        self._write(self.averaged)

    def resume(self) -> None:
        """Undo `settle`: put the master weights back to train on."""
        self._write(self.master)

    @torch.no_grad()
    def start_from(self, weights: list[Tensor]) -> None:
        """Begin with these instead of the module's own, in full: the module may hold fewer digits."""
        torch._foreach_copy_(self.master, weights)
        torch._foreach_copy_(self.averaged, weights)
        self._write(self.master)

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""
        weights = {"master": self.master, "averaged": self.averaged, "done": self.done}
        return {**weights, "adam": self.adam.state_dict(), "momentum": self.muon.momentum}

    def load(self, state: dict[str, Any]) -> None:
        """Take up a state from `state()`."""
        with torch.no_grad():
            torch._foreach_copy_(self.master, state["master"])
            torch._foreach_copy_(self.averaged, state["averaged"])
            for own, kept in zip(self.muon.momentum, state["momentum"], strict=True):
                own.copy_(kept)
        self.adam.load_state_dict(state["adam"])
        self.done = state["done"]
        self._write(self.master)
