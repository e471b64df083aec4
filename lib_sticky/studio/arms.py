"""The arms of a comparison as jobs: each can be made again from its own picture's infotext."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lib_sticky import __version__
from lib_sticky.config import ConfigError
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.compare import Arm, Setting
from lib_sticky.prompt.emphasis import BREAK, emphasis
from lib_sticky.prompt.interval import on_interval
from lib_sticky.studio.job import Job, JobError
from lib_sticky.studio.noise_levels import NoiseLevels
from lib_sticky.studio.samplers import SAMPLERS
from lib_sticky.studio.sampling import sized

_FILLER = ("the", "of", "and", "with", "in", "to", "for", "as")
"""Words that say nothing about a picture; the placebo repeats them."""


@dataclass(frozen=True)
class Comparison:
    """What is compared: `base` has the prompt, the first seed, the batch and the terms; its size and CFG do not count.

    placebo: as many tokens of filler as the terms have.
    """

    base: Job
    settings: tuple[Setting, ...]
    seeds: int
    placebo: str

    @property
    def pictures(self) -> int:
        """How many pictures there will be."""
        return len(self.settings) * len(Arm) * self.seeds

    def job(self, setting: Setting, arm: Arm, cfg: float) -> Job:
        """The arm's job for its first seed, at the scale `cfg`, which for A4 is not the setting's."""
        terms = self.base.config
        off = replace(terms, enabled=False)
        config = {Arm.STICKY: terms, Arm.PLACEBO: replace(terms, terms=self.placebo)}.get(arm, off)
        negative = on_interval(terms.terms.strip(), terms.start, terms.stop) if arm is Arm.TERMS else ""
        return replace(
            self.base, cfg=cfg, steps=setting.steps, width=setting.width, height=setting.height, negative=negative,
            config=config,
        )  # fmt: skip


def planned(
    host: Diffusers,
    base: Job,
    seeds: int,
    cfgs: Sequence[float],
    steps: Sequence[int],
    sizes: Sequence[tuple[int, int]],
) -> Comparison:
    """The comparison of every size, number of steps and CFG given; a size of 0 is the model's own.

    Raises JobError or ConfigError that names the field at fault.
    """
    if not base.prompt.strip():
        raise JobError("prompt", "is empty; a sticky negative needs a prompt to track")
    if not base.config.terms.strip():
        raise ConfigError("terms", "are empty; without them a sticky negative is the prompt itself, which is CFG 1")
    if seeds < 1:
        raise JobError("seeds", f"{seeds} is too few; 1 is the least")
    settings = tuple(
        _setting(host, replace(base, cfg=cfg, steps=count, width=width, height=height))
        for width, height in sizes
        for count in steps
        for cfg in cfgs
    )
    config = replace(base.config, enabled=True)
    filler = placebo(config.terms, host.count_tokens)
    return Comparison(replace(base, config=config), tuple(dict.fromkeys(settings)), seeds, filler)


def placebo(terms: str, count_tokens: Callable[[str], int]) -> str:
    """Filler of as many tokens as `terms` have, emphasis taken off."""
    tokens = sum(count_tokens(piece) for piece, weight in emphasis(terms) if (piece, weight) != BREAK)
    words = [word for word in _FILLER if count_tokens(word) == 1]
    return " ".join(words[index % len(words)] for index in range(tokens))


def folder_name(comparison: Comparison, model: Path) -> str:
    """The same for the same comparison of an unchanged model, so that a repeated command goes on where it stopped."""
    files = [model] if model.is_file() else sorted(path for path in model.rglob("*") if path.is_file())
    known = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    told = json.dumps([asdict(comparison), known, __version__], sort_keys=True)
    words = re.sub(r"[^a-z0-9]+", "-", comparison.base.prompt.lower()).strip("-")[:40].strip("-")
    return f"compare-{words or 'prompt'}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


def _setting(host: Diffusers, job: Job) -> Setting:
    job = sized(job, host)
    if len(SAMPLERS[job.sampler].grid(NoiseLevels(host.alphas()), job.steps).timesteps) < 2:
        raise JobError("steps", f"{job.steps} are too few for a comparison with {job.sampler}; use more")
    return Setting(job.cfg, job.steps, job.width, job.height)
