"""What a comparison of negative LoRAs says of itself in its report (see lab/comparison_report.py)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lib_sticky.lab.compare import Delta, Setting, Taken, Way, cell, share
from lib_sticky.lab.comparison_report import Kind
from lib_sticky.studio.neglora.arms import ABOUT, DESIGN, EXPLAINED, Arm, Comparison

_READING = """
All arms make picture i from the same prompt and the same noise. A difference is taken between two arms' pictures of one
seed; the median of these differences is shown with its 95% bootstrap interval, for shares their mean.

p is an exact sign test (McNemar's for shares); corrected is after Holm's correction for every comparison in
differences.csv.

N1 is the placebo: what the LoRA itself does is N2 − N1 and N4 − N1. N4 − N2 is what the side does. A LoRA on both sides
changes the prompt's own prediction too, which N3 shows by itself.

A blank picture is unclipped and free of noise: no such figure means anything where the blank rate rose.
"""


@dataclass(frozen=True)
class LoraTelling:
    """`model` is a name; made_by: the program, and what makes it again."""

    comparison: Comparison
    model: str
    made_by: str
    kind: ClassVar[Kind] = Kind("Negative LoRA: five arms", DESIGN, EXPLAINED, _READING, Arm.NEGATIVE)

    @property
    def prompt(self) -> str:
        return f"{len(self.comparison.prompts)} prompts, such as: {self.comparison.prompts[0]}"

    def label(self, setting: Setting, arm: Way) -> str:
        return f"CFG {setting.cfg:g}: {self.head(setting, arm)}"

    def head(self, setting: Setting, arm: Way) -> str:
        del setting
        return f"{arm.value} {ABOUT[arm]}"

    def negative(self, setting: Setting, arm: Way) -> str:
        return self.comparison.job(setting, arm, self.comparison.base.seed).negative

    def notes(self, setting: Setting) -> Sequence[str]:
        del setting
        return ()

    def facts(self) -> Sequence[tuple[str, str]]:
        of = self.comparison
        return [
            ("Model", self.model),
            ("LoRA", f"{Path(of.lora).name} at {of.strength:g}, word: {of.word}"),
            ("Sampler", of.base.sampler),
            ("Pictures", f"{of.pictures} an arm, {of.plan.pictures:,} in all, seeds from {of.base.seed}"),
            ("Prompts", json.dumps(of.prompts, ensure_ascii=False)),
            ("Made by", self.made_by),
        ]

    def tables(self, taken: Sequence[Taken], found: Sequence[Delta]) -> Sequence[tuple[str, str, str]]:
        return [("table.md", markdown(taken, found), "shares of every arm, and their differences")]


def markdown(taken: Sequence[Taken], found: Sequence[Delta]) -> str:
    """For documents: the share of every arm and its paired differences to N0 and N1, in points, with 95% intervals."""
    lines: list[str] = []
    for setting in dict.fromkeys(each.setting for each in taken):
        pairs = len(cell(taken, setting, Arm.NONE))
        lines += [f"**{setting.label}, {pairs} pictures an arm**", "", "| figure | arm | share | − N0 | − N1 |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for name in cell(taken, setting, Arm.NONE)[0].said:
            for arm in ABOUT:
                own = share(cell(taken, setting, arm), name)
                figure = f"{100 * own.value:.1f} [{100 * own.low:.1f}, {100 * own.high:.1f}]"
                to = [_against(found, setting, name, arm, other) for other in (Arm.NONE, Arm.WORD)]
                lines.append(f"| {name} | {arm.value} {ABOUT[arm]} | {figure} | {to[0]} | {to[1]} |")
        lines.append("")
    return "\n".join(lines)


def _against(found: Sequence[Delta], setting: Setting, name: str, arm: Way, reference: Way) -> str:
    wanted = (setting, name, arm, reference)
    for each in found:
        if (each.setting, each.name, each.arm, each.reference) == wanted:
            ends = (each.difference.value, each.difference.low, each.difference.high)
            value, low, high = (f"{100 * number:+.1f}".replace("-", "−") for number in ends)
            return f"{value} [{low}, {high}]"
    return ""
