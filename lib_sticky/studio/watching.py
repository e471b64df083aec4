"""What is kept of a batch while it is sampled: measures of each step, frames for the filmstrip, probes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lib_sticky.guidance.passes import Pass
from lib_sticky.lab.filmstrip import Frame, chosen_steps
from lib_sticky.lab.latent_steps import LatentStep, measure_step
from lib_sticky.studio.probe import EmptyPrompt, Probe
from lib_sticky.studio.sampling import Moment


@dataclass
class Watch:
    """What is kept of the steps of one batch: by image, and frames of the first one for the filmstrip."""

    strip: bool
    empty: EmptyPrompt | None
    frames: list[Frame] = field(default_factory=list[Frame])
    steps: list[list[LatentStep]] = field(default_factory=list[list[LatentStep]])
    probes: list[list[Probe]] = field(default_factory=list[list[Probe]])
    latents: Any = None
    calls: int = 0
    probe_calls: int = 0
    seconds: float = 0.0

    def see(self, moment: Moment) -> None:
        """Measure one step of all images."""
        self.calls += 1
        found = list(self.empty.see(moment)) if self.empty else []
        if found:
            self.probe_calls += 1
            self.probes.append(found)
        started = time.perf_counter()
        guided, cond = _array(moment.guided.prediction), _array(moment.predictions[Pass.COND])
        away = moment.predictions.get(Pass.UNCOND)
        uncond = None if away is None else _array(away)
        self.steps = self.steps or [[] for _ in cond]
        for log, found in zip(self.steps, measure_step(guided, cond, uncond), strict=True):
            log.append(found)
        if self.strip and moment.step in chosen_steps(moment.steps):
            self.frames.append(
                Frame(moment.step, moment.sigma, cond[0], None if uncond is None else uncond[0], guided[0])
            )
        if moment.step == moment.steps:
            self.latents = _array(moment.latents)
        self.seconds += time.perf_counter() - started


def _array(values: Any) -> Any:
    return values.float().cpu().numpy()


def summary(steps: Sequence[LatentStep]) -> dict[str, float]:
    """The steps of one image in one number for each of their measures."""
    return {
        "latent peak, last step": steps[-1].peak,
        "guidance gap, mean": float(np.mean([step.gap for step in steps])),
        "guidance alignment, mean": float(np.mean([step.alignment for step in steps])),
        "guidance push, mean": float(np.mean([step.push for step in steps])),
    }
