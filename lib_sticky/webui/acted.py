"""What acted in the last job, as a table below the panel's fields: the report that the API's answer holds too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from lib_sticky.guidance.report import rows_a_step
from lib_sticky.infotext import ACTED_KEY, REPORT_KEY
from lib_sticky.webui.quiet import QUIET
from lib_sticky.webui.words import lines, table, warned

_TITLE = "What acted in the last job"
_HEAD = ("Technique", "Acted on steps", "Inert on")


def follow(generation_info: Any, shown: Any) -> None:
    """Let `shown` tell of every job of a WebUI's tab; generation_info: the tab's hidden text on its last job."""
    generation_info.change(fn=of_job, inputs=[generation_info], outputs=[shown], **QUIET)


def of_job(generation_info: str) -> str:
    """The table for a job in the form of the WebUIs' `Processed.js`; "" where no technique was asked for.

    A script that sums up several jobs itself, as loopback does, leaves the infotext's short line alone.
    """
    try:
        params = json.loads(generation_info)["extra_generation_params"]
        if REPORT_KEY in params:
            return of_passes(params[REPORT_KEY])
        return _box(lines("sticky-count", [_TITLE, params[ACTED_KEY]]))
    except (ValueError, KeyError, TypeError):
        return ""


def of_passes(reports: Sequence[Mapping[str, Any]]) -> str:
    """One table for all passes in which the same acted; "" for none."""
    told = ""
    for at, report in enumerate(reports):
        if report not in reports[:at]:
            alike = [str(number) for number, other in enumerate(reports, 1) if other == report]
            passes = "" if len(alike) == len(reports) else f", in pass {', '.join(alike)}"
            told += _pass(f"{_TITLE}{passes}", report)
    return told


def _pass(title: str, report: Mapping[str, Any]) -> str:
    rows = report["rows"]
    techniques = [
        (each["name"], _steps(each["steps"], len(rows)), _reasons(each["inert"])) for each in report["techniques"]
    ]
    told = lines("sticky-count", [title])
    if techniques:
        told += table(_HEAD, techniques) + lines("sticky-count", [rows_a_step(rows)])
    others = [report["others"]] if report.get("others") else []
    return _box(told + warned([*report.get("refused", []), *others]))


def _box(told: str) -> str:
    return f"<div class='sticky-preview'>{told}</div>"


def _steps(steps: Sequence[int], total: int) -> str:
    """Steps as people count them, neighbours together: 0, 1, 2 and 5 of 20 are "1-3, 6 (4 of 20)"."""
    neighbours = groupby(enumerate(sorted(set(steps))), lambda each: each[1] - each[0])
    spans = [[step + 1 for _, step in group] for _, group in neighbours]
    told = ", ".join(f"{span[0]}-{span[-1]}" if len(span) > 1 else str(span[0]) for span in spans)
    return f"{told} ({len(steps)} of {total})" if told else "none"


def _reasons(inert: Mapping[str, int]) -> str:
    return ", ".join(f"{count} ({reason})" for reason, count in inert.items())
