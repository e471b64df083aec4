"""The figures of a comparison as tables: for the report, and as CSV for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .compare import STICKY, Delta, Design, Setting, Taken, Way, cell, middle, share
from .report_html import Row, Value
from .significance import LEAST_PICTURES

HEADLINE = (
    "clipped high", "clipped low", "saturation", "colourfulness", "contrast", "local contrast", "high frequency share",
    "sharpness", "noise", "latent peak, last step", "guidance gap, mean", "guidance push, mean",
)  # fmt: skip
"""The metrics shown first, chosen before anything was measured."""


def columns(design: Design) -> tuple[str, ...]:
    """The head of the tables that `rows` fills."""
    pairs = (f"{arm.value} − {reference.value}" for arm, reference in design.comparisons)
    return ("metric", f"{design.plain.value} itself", *pairs)


COLUMNS = columns(STICKY)


def rows(
    taken: Sequence[Taken], found: Sequence[Delta], setting: Setting, design: Design = STICKY
) -> tuple[list[Row], list[Row]]:
    """The rows of the first table and of the one with all other metrics; both begin with the blank rate and its kin."""
    plain = cell(taken, setting, design.plain)
    placed = {(each.name, each.arm, each.reference): each for each in found if each.setting == setting}
    pairs = design.comparisons
    shares = [_share(plain, name, [placed[(name, *pair)] for pair in pairs]) for name in plain[0].said]
    measured = {name: _metric(plain, name, [placed[(name, *pair)] for pair in pairs]) for name in plain[0].measured}
    first = [measured[name] for name in HEADLINE]
    return shares + first, shares + [row for name, row in measured.items() if name not in HEADLINE]


def shares_of(taken: Sequence[Taken], setting: Setting, design: Design = STICKY) -> list[str]:
    """A sentence for each yes-or-no figure: what share of each arm it is true of, with its interval."""
    cells = {arm: cell(taken, setting, arm) for arm in design.about}
    sentences: list[str] = []
    for name in cells[design.plain][0].said:
        found = {arm: share(pictures, name) for arm, pictures in cells.items()}
        parts = [
            f"{arm.value} {100 * each.value:.0f}% [{100 * each.low:.0f}, {100 * each.high:.0f}]"
            for arm, each in found.items()
        ]
        sentences.append(f"{name[0].upper()}{name[1:]}: {', '.join(parts)}.")
    return sentences


def deltas_csv(found: Iterable[Delta]) -> str:
    """One line a comparison."""
    return csv_text(
        [
            {
                **_place(each.setting), "metric": each.name, "arm": each.arm.value, "reference": each.reference.value,
                "pairs": each.pairs, "difference": each.difference.value, "low": each.difference.low,
                "high": each.difference.high, "p": each.p, "p corrected": each.corrected, "verdict": each.verdict,
            }
            for each in found
        ]
    )  # fmt: skip


def pictures_csv(taken: Iterable[Taken], design: Design = STICKY) -> str:
    """One line a picture; yes and no as 1 and 0."""
    return csv_text(
        [
            {
                **_place(each.setting), "arm": each.arm.value, "about": design.about[each.arm], "seed": each.seed,
                "file": each.file, **{name: int(said) for name, said in each.said.items()}, **each.measured,
            }
            for each in taken
        ]
    )  # fmt: skip


def steps_csv(steps: Iterable[tuple[Setting, Way, int, Sequence[Mapping[str, Any]]]]) -> str:
    """One line a picture and step; values by channel are joined by spaces."""
    return csv_text(
        [
            {
                **_place(setting), "arm": arm.value, "seed": seed, "step": number,
                **{name: _joined(value) for name, value in one.items()},
            }
            for setting, arm, seed, log in steps
            for number, one in enumerate(log, 1)
        ]
    )  # fmt: skip


def push_by_step(logs: Sequence[Sequence[Mapping[str, Any]]]) -> list[float]:
    """How far guidance moved the prediction on each step, the median over pictures."""
    return [float(np.median([one["push"] for one in step])) for step in zip(*logs, strict=True)]


def _place(setting: Setting) -> dict[str, Any]:
    return asdict(setting)


def _joined(value: Any) -> Any:
    return " ".join(f"{each:.6g}" for each in value) if isinstance(value, (list, tuple)) else value


def csv_text(lines: Sequence[Mapping[str, Any]]) -> str:
    """The lines under the names of the first one."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else [])
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _share(plain: Sequence[Taken], name: str, found: Sequence[Delta]) -> Row:
    own = share(plain, name)
    first = Value(f"{100 * own.value:.0f}%", [f"{100 * own.low:.0f} to {100 * own.high:.0f}"])
    return Row(f"{name}, % of pictures", [first, *(_difference(each, 100, "+.1f") for each in found)], is_share=True)


def _metric(plain: Sequence[Taken], name: str, found: Sequence[Delta]) -> Row:
    first = Value(f"{middle(plain, name):.3g}", ["median"])
    return Row(name, [first, *(_difference(each, 1, "+.2g") for each in found)])


def _difference(delta: Delta, unit: float, form: str) -> Value:
    ends = (delta.difference.value, delta.difference.low, delta.difference.high)
    if ends == (0, 0, 0):
        return Value("0", [], delta.verdict if delta.pairs >= LEAST_PICTURES else "")
    value, low, high = (f"{unit * number:{form}}".replace("-", "−") for number in ends)
    below = [f"[{low}, {high}]", f"p {_p(delta.p)}, corrected {_p(delta.corrected)}"]
    return Value(value, below, delta.verdict if delta.pairs >= LEAST_PICTURES else "")


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.2g}"
