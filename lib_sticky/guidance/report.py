"""What acted over a whole sampling pass, from the records of its steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .combine import Record
from .selection import Technique


@dataclass(frozen=True)
class Activity:
    """One technique over a pass: the steps on which it acted, and each reason why it did not with its step count."""

    technique: Technique
    steps: tuple[int, ...]
    reasons: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        parts = [f"acted on {len(self.steps)} steps"] if self.steps else []
        parts += [f"inert on {count} ({reason})" for reason, count in self.reasons]
        return f"{self.technique.value}: {', '.join(parts)}"


def activity(records: Sequence[Record]) -> tuple[Activity, ...]:
    """Every technique that was asked for on some step, in the order of `Technique`."""
    steps: dict[Technique, list[int]] = {}
    reasons: dict[Technique, Counter[str]] = {}
    for record in records:
        for technique in record.acted:
            steps.setdefault(technique, []).append(record.step)
        for inert in record.inert:
            reasons.setdefault(inert.technique, Counter())[inert.reason] += 1
    return tuple(
        Activity(technique, tuple(steps.get(technique, ())), tuple(reasons.get(technique, Counter()).most_common()))
        for technique in Technique
        if technique in steps or technique in reasons
    )


def lines(records: Sequence[Record]) -> list[str]:
    """Every technique on a line of its own, then the model rows that a step took for each image."""
    return [*(str(each) for each in activity(records)), rows_a_step([record.evaluations for record in records])]


def rows_a_step(rows: Sequence[int]) -> str:
    """The model rows of each step in words: on how many steps it took how many."""
    counted = ", ".join(f"{each} on {count}" for each, count in sorted(Counter(rows).items()))
    return f"model rows a step: {counted}"


def described(records: Sequence[Record]) -> dict[str, Any]:
    """As JSON: the model rows of each step, and every technique with the steps on which it acted, and why not."""
    return {
        "rows": [record.evaluations for record in records],
        "techniques": [
            {"name": each.technique.value, "steps": list(each.steps), "inert": dict(each.reasons)}
            for each in activity(records)
        ],
    }


def evaluations(records: Sequence[Record]) -> int:
    """Model rows for each image over all steps."""
    return sum(record.evaluations for record in records)


def short(records: Sequence[Record]) -> str:
    """One line: on how many calls each technique acted, the model rows for each image, and what never acted and why."""
    found = activity(records)
    acted = ", ".join(f"{each.technique.value} {len(each.steps)}" for each in found if each.steps)
    never = ", ".join(f"{each.technique.value} ({each.reasons[0][0]})" for each in found if not each.steps)
    line = f"{acted or 'nothing'} of {len(records)} steps, {evaluations(records)} rows"
    return f"{line}; inert: {never}" if never else line
