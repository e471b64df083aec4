"""The five arms in which a sticky negative is compared, and what a report says of them, on every host."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

from lib_sticky.config import DEFAULTS, STICKY, Config, ConfigError, in_group
from lib_sticky.guidance.effective_cfg import gain_for
from lib_sticky.negative_fields import NEGATIVE
from lib_sticky.prompt.emphasis import BREAK, emphasis
from lib_sticky.prompt.interval import on_interval
from lib_sticky.prompt.negative import tracked_text
from lib_sticky.proof_fields import PROOF

from .compare import ABOUT, EXPLAINED, Arm, Delta, Setting, Taken, Way
from .compare import STICKY as DESIGN
from .comparing import Plan, picture_key
from .comparison_report import Kind
from .manifest import Manifest
from .probing import FAMILIAR, MOST_SCALE, Probe, matched_scale

_FILLER = ("the", "of", "and", "with", "in", "to", "for", "as")
"""Words that say nothing about a picture; the placebo repeats them."""

ORDER: Mapping[Way, str] = MappingProxyType(
    {arm: ABOUT[arm] for arm in (Arm.EMPTY, Arm.STICKY, Arm.TERMS, Arm.PLACEBO, Arm.MATCHED)}
)
"""A4 comes after A2, whose measured scale it takes."""

_READING = """
All arms start from the same noise, seed by seed. A difference is taken between two arms' pictures of the same seed; the
median of these differences is shown with its 95% bootstrap interval over seeds, for shares their mean.

p is an exact sign test (McNemar's for shares); corrected is after Holm's correction for every comparison in
differences.csv, the metrics that are not shown first included.

A2 − A0 alone says little: with the prompt in the negative the push has another size, as it has at another CFG scale.
A2 − A3 is what the undesirable terms do beyond the form; A2 − A4 is what they do beyond the size of the push.

A blank picture is unclipped, free of noise and of halos: no such figure means anything where the blank rate rose.

The metrics describe pictures and do not say which is better. One prompt says nothing about other prompts, one model
nothing about other models.
"""


@dataclass(frozen=True)
class Arms:
    """What each arm has: `config` is that of A2, `placebo` as many tokens of filler as its terms have."""

    config: Config
    placebo: str

    @classmethod
    def of(cls, config: Config, count_tokens: Callable[[str], int]) -> Arms:
        """The arms around `config`. ConfigError as `check`."""
        check(config)
        shown = {name: DEFAULTS[name] for name in in_group(PROOF)}  # A comparison has strips and probes of its own.
        return cls(replace(config, enabled=True, **shown), placebo(config.terms, count_tokens))

    def negative(self, arm: Way) -> str:
        """What is typed as the negative."""
        terms = self.config
        return on_interval(terms.terms.strip(), terms.start, terms.stop) if arm is Arm.TERMS else ""

    def of_arm(self, arm: Way) -> Config:
        """The arm's config: where there is no sticky negative, what shapes one is off too."""
        if arm is Arm.STICKY:
            return self.config
        if arm is Arm.PLACEBO:
            return replace(self.config, terms=self.placebo)
        shaping = {name: DEFAULTS[name] for name in (*in_group(STICKY), *in_group(NEGATIVE))}
        return replace(self.config, **shaping)


def check(config: Config) -> None:
    """ConfigError where there is nothing to compare."""
    if not config.terms.strip():
        raise ConfigError("terms", "are empty; without them a sticky negative is the prompt itself, which is CFG 1")
    if config.untitled:
        raise ConfigError("untitled", "has no prompt for a negative to track; turn it off to compare")
    if config.neglora:
        raise ConfigError("neglora", "has a comparison of its own (run.py neglora compare); leave it empty here")


def placebo(terms: str, count_tokens: Callable[[str], int]) -> str:
    """Filler of as many tokens as `terms` have, emphasis taken off."""
    tokens = sum(count_tokens(piece) for piece, weight in emphasis(terms) if (piece, weight) != BREAK)
    words = [word for word in _FILLER if count_tokens(word) == 1]
    return " ".join(words[index % len(words)] for index in range(tokens))


def scale_of(manifest: Manifest, plan: Plan, setting: Setting, arm: Way) -> float:
    """The CFG scale of an arm: the setting's, or for A4 the effective one of A2, once A2 is complete."""
    if arm is not Arm.MATCHED:
        return setting.cfg
    return matched_scale(setting.cfg, [probe.ratio for probe in probes(manifest, plan, setting)])


def probes(manifest: Manifest, plan: Plan, setting: Setting) -> list[Probe]:
    """What was measured with the empty prompt beside A2."""
    entries = [manifest.entry(picture_key(setting, Arm.STICKY, seed)) for seed in plan.all_seeds()]
    return [Probe(**probe) for entry in entries for probe in entry.about["probes"]]


@dataclass(frozen=True)
class StickyTelling:
    """What a comparison of sticky negatives says of itself.

    made_by: the program, and what makes it again. sampler: its name.
    """

    arms: Arms
    plan: Plan
    manifest: Manifest
    prompt: str
    model: str
    sampler: str
    made_by: str
    kind: ClassVar[Kind] = Kind("Sticky: same-seed comparison", DESIGN, EXPLAINED, _READING, Arm.STICKY)

    def label(self, setting: Setting, arm: Way) -> str:
        """What all settings share is left out."""
        settings = self.plan.settings
        others = {(each.steps, each.width, each.height) for each in settings}
        rest = "" if len(others) == 1 else f", {setting.steps} steps, {setting.width}x{setting.height}"
        model = setting.model and f"{setting.model}, "
        scaled = f" at CFG {self._scale(setting, arm):g}" if arm is Arm.MATCHED else ""
        return f"{model}CFG {setting.cfg:g}{rest}: {arm.value} {ABOUT[arm]}{scaled}"

    def head(self, setting: Setting, arm: Way) -> str:
        return f"{arm.value} {ABOUT[arm]}" + (f" {self._scale(setting, arm):g}" if arm is Arm.MATCHED else "")

    def negative(self, setting: Setting, arm: Way) -> str:
        del setting
        return tracked_text(self.arms.of_arm(arm), self.prompt, self.arms.negative(arm))

    def notes(self, setting: Setting) -> Sequence[str]:
        return list(self._scales(setting))

    def _scale(self, setting: Setting, arm: Way) -> float:
        return scale_of(self.manifest, self.plan, setting, arm)

    def _scales(self, setting: Setting) -> Iterator[str]:
        """What the scale of the sticky negative amounts to."""
        found = probes(self.manifest, self.plan, setting)
        ratios = [probe.ratio for probe in found]
        steps = sorted({probe.step for probe in found})
        by_step = {step: statistics.median(each.ratio for each in found if each.step == step) for step in steps}
        alpha = statistics.median(probe.dilution for probe in found)
        said = ", ".join(f"step {step}: {1 + (setting.cfg - 1) * ratio:.3g}" for step, ratio in by_step.items())
        matched = self._scale(setting, Arm.MATCHED)
        yield (
            f"With the sticky negative CFG {setting.cfg:g} pushes as far as CFG {matched:.3g} "
            f"does without a negative (median of {len(ratios)} probes; {said}). Its A4 is made at that scale."
        )
        yield (
            f"Alpha is {alpha:.2g}: the sticky negative holds that share of what the prompt itself does, so the prompt "
            f"is guided at about CFG {1 + (setting.cfg - 1) * (1 - alpha):.3g}."
        )
        familiar = gain_for(FAMILIAR, ratios, MOST_SCALE)
        reach = f"set CFG to {familiar:.3g}" if familiar < MOST_SCALE else f"even CFG {MOST_SCALE:g} is not enough"
        yield f"To push as far as CFG {FAMILIAR:g} does without a negative: {reach}."

    def facts(self) -> Sequence[tuple[str, str]]:
        plan = self.plan
        return [
            ("Model", self.model),
            ("Sampler", self.sampler),
            ("Seeds", f"{plan.first} to {plan.first + plan.seeds - 1}, in batches of {plan.batch}"),
            ("Undesirable terms", self.arms.config.terms),
            ("Placebo", self.arms.placebo),
            ("Pictures", f"{plan.pictures:,}"),
            ("Made by", self.made_by),
        ]

    def tables(self, taken: Sequence[Taken], found: Sequence[Delta]) -> Sequence[tuple[str, str, str]]:
        del taken, found
        return ()
