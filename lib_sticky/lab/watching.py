"""What is kept of a batch while it is sampled: measures of each step, frames for the filmstrip, probes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from .filmstrip import Frame, chosen_steps
from .latent_steps import LatentStep, measure_step
from .probing import Probe

_WAITING = 4 << 20
"""Bytes of predictions that may wait to be measured together: one by one, between calls, takes ten times as long.

They wait where they were made, since fetching them from a GPU would make every step wait for it.
"""


@dataclass(frozen=True)
class Seen:
    """One model call of a batch: 1-based `step` of `steps`, and denoised predictions, tensors [B, C, h, w].

    uncond is None where it was not run.
    """

    step: int
    steps: int
    sigma: float
    cond: Any
    uncond: Any
    guided: Any


@dataclass
class Watched:
    """What is kept of one batch: by image, and frames of the first one for the filmstrip.

    strip: whether frames are kept. measures: whether every step of every image is measured. seconds: spent on it while
    sampling.
    """

    strip: bool
    measures: bool = True
    frames: list[Frame] = field(default_factory=list[Frame])
    probes: list[list[Probe]] = field(default_factory=list[list[Probe]])
    last: Seen | None = None
    calls: int = 0
    seconds: float = 0.0
    _measured: list[list[LatentStep]] = field(default_factory=list[list[LatentStep]])
    _waiting: list[list[Any]] = field(default_factory=list[list[Any]])

    def take(self, seen: Seen) -> None:
        """Keep what one step of all images is measured by."""
        started = time.perf_counter()
        if seen.step == 1:  # What was kept is of an earlier pass over the same pictures.
            for kept in (self.frames, self.probes, self._measured, self._waiting):
                kept.clear()
        self.calls += 1
        self.last = seen
        if self.measures:
            sides = (seen.guided, seen.cond) if seen.uncond is None else (seen.guided, seen.cond, seen.uncond)
            self._waiting.append([side.detach().clone() for side in sides])
            if len(self._waiting) * len(sides) * seen.cond.nbytes > _WAITING:
                self._measure()
        if self.strip and seen.step in chosen_steps(seen.steps):
            self.frames.append(_frame(seen))
        self.seconds += time.perf_counter() - started

    @property
    def steps(self) -> list[list[LatentStep]]:
        """The measures of every step, by image."""
        self._measure()
        return self._measured

    def _measure(self) -> None:
        """Measure what waits, each [guided, cond, uncond if it was run] of [B, C, h, w], all alike steps at once."""
        for _, alike in groupby(self._waiting, key=lambda sides: (len(sides), sides[0].shape)):
            steps = list(alike)
            together = [np.concatenate([_array(side) for side in kept]) for kept in zip(*steps, strict=True)]
            found = iter(measure_step(*together))
            self._measured = self._measured or [[] for _ in steps[0][0]]
            for _ in steps:
                for log in self._measured:
                    log.append(next(found))
        self._waiting.clear()

    def probed(self, found: Sequence[Probe]) -> None:
        """Keep what one model call with the empty prompt showed, a probe for each image."""
        self.probes.append(list(found))

    def strip_frames(self) -> list[Frame]:
        """The frames, the last step among them: hosts expect more steps than some samplers make."""
        if self.last is None or (self.frames and self.frames[-1].step == self.last.step):
            return self.frames
        return [*self.frames, _frame(self.last)]

    def latents(self) -> Any:
        """The latents [B, C, h, w] that became the pictures: what guidance made of the last step."""
        if self.last is None:
            raise ValueError("no step was seen, so there are no latents")
        return _array(self.last.guided)


def _frame(seen: Seen) -> Frame:
    uncond = None if seen.uncond is None else _array(seen.uncond[0])
    return Frame(seen.step, seen.sigma, _array(seen.cond[0]), uncond, _array(seen.guided[0]))


def _array(values: Any) -> Any:
    return None if values is None else values.float().cpu().numpy()


def summary(steps: Sequence[LatentStep]) -> dict[str, float]:
    """The steps of one image in one number for each of their measures."""
    return {
        "latent peak, last step": steps[-1].peak,
        "guidance gap, mean": float(np.mean([step.gap for step in steps])),
        "guidance alignment, mean": float(np.mean([step.alignment for step in steps])),
        "guidance push, mean": float(np.mean([step.push for step in steps])),
    }
