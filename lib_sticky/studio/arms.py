"""The arms of a comparison as jobs of the studio: each can be made again from its own picture's infotext."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.compare import Setting, Way
from lib_sticky.lab.comparing import Plan
from lib_sticky.lab.folder_name import named
from lib_sticky.lab.sticky_arms import ORDER, Arms
from lib_sticky.studio.job import Job, JobError
from lib_sticky.studio.noise_levels import NoiseLevels
from lib_sticky.studio.samplers import SAMPLERS
from lib_sticky.studio.sampling import sized


@dataclass(frozen=True)
class Comparison:
    """What is compared: `base` has the prompt, the first seed and the batch; its size, CFG and config do not count."""

    base: Job
    arms: Arms
    settings: tuple[Setting, ...]
    seeds: int

    @property
    def plan(self) -> Plan:
        """What is made in which order."""
        return Plan(self.settings, ORDER, self.base.seed, self.seeds, self.base.batch)

    def job(self, setting: Setting, arm: Way, cfg: float) -> Job:
        """The arm's job for its first seed, at the scale `cfg`, which for A4 is not the setting's."""
        return replace(
            self.base, cfg=cfg, steps=setting.steps, width=setting.width, height=setting.height,
            negative=self.arms.negative(arm), config=self.arms.of_arm(arm),
        )  # fmt: skip


def planned(
    host: Diffusers,
    base: Job,
    seeds: int,
    cfgs: Sequence[float],
    steps: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    model: str = "",
) -> Comparison:
    """The comparison of every size, number of steps and CFG given; a size of 0 is the model's own.

    model: its name, where it is one of several. Raises JobError or ConfigError that names the field at fault.
    """
    if not base.prompt.strip():
        raise JobError("prompt", "is empty; a sticky negative needs a prompt to track")
    if seeds < 1:
        raise JobError("seeds", f"{seeds} is too few; 1 is the least")
    arms = Arms.of(base.config, host.count_tokens)
    settings = tuple(
        _setting(host, replace(base, cfg=cfg, steps=count, width=width, height=height), model)
        for width, height in sizes
        for count in steps
        for cfg in cfgs
    )
    return Comparison(base, arms, tuple(dict.fromkeys(settings)), seeds)


def swept(parts: Sequence[Comparison]) -> Comparison:
    """The same comparison with several models, one after the other."""
    return replace(parts[0], settings=tuple(setting for part in parts for setting in part.settings))


def folder_name(comparison: Comparison, models: Sequence[Path]) -> str:
    """The same for the same comparison of unchanged models, so that a repeated command goes on where it stopped."""
    known = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _files(models)]
    return named(comparison.base.prompt, [asdict(comparison), known])


def _files(models: Sequence[Path]) -> list[Path]:
    return [
        path
        for model in models
        for path in ([model] if model.is_file() else sorted(path for path in model.rglob("*") if path.is_file()))
    ]


def _setting(host: Diffusers, job: Job, model: str) -> Setting:
    job = sized(job, host)
    if len(SAMPLERS[job.sampler].grid(NoiseLevels(host.alphas()), job.steps).timesteps) < 2:
        raise JobError("steps", f"{job.steps} are too few for a comparison with {job.sampler}; use more")
    return Setting(job.cfg, job.steps, job.width, job.height, model)
