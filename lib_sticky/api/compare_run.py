"""Runs a comparison in the place of a WebUI's job, and says what became of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from lib_sticky.api.compare_jobs import STOPPED, Comparisons, Control
from lib_sticky.config import ConfigError, parse
from lib_sticky.hosts import comparison, comparison_job
from lib_sticky.hosts.base import Host
from lib_sticky.hosts.comparison_folder import folder_of
from lib_sticky.hosts.job import refuse
from lib_sticky.lab.asked import Asked, read

FIELD = "compare"
"""Stands beside the config's fields in the API's one dict."""

log = logging.getLogger("sticky")


def run(p: Any, host: Host, comparisons: Comparisons, fields: Mapping[str, Any], ticket: str, own: slice) -> None:
    """Make the comparison that the job `p` asks for, if any; the job itself then makes no picture.

    fields: of the config, with `FIELD` from the API. ticket: from the page. own: the arguments of our own script.
    """
    if FIELD not in fields and not ticket:
        return
    try:
        asked = read(fields[FIELD]) if FIELD in fields else Asked(id=ticket)
        control = _control(comparisons, asked)
        if control is not None:
            _run(p, host, control, {name: value for name, value in fields.items() if name != FIELD}, own)
    except ConfigError as error:
        _refuse(p, error)


def _refuse(p: Any, error: Exception) -> None:
    comparison_job.leave(p, f"failed: {error}", ())
    refuse(p, error)


def _control(comparisons: Comparisons, asked: Asked) -> Control | None:
    return comparisons.control(asked.id) if asked.id else Control(asked, lambda _: None, lambda: False)


def _run(p: Any, host: Host, control: Control, fields: Mapping[str, Any], own: slice) -> None:
    try:
        order = comparison.ordered(p, host, parse(fields), control.asked, own.start)
        folder = folder_of(order, own)
        control.tell({"folder": str(folder), "pictures": order.plan.pictures})
        written = comparison.made(host, order, folder, comparison.Told(control.progress, control.stopped))
    except comparison.Stopped:
        control.tell({"state": "cancelled", "message": STOPPED})
        comparison_job.leave(p, STOPPED, ())
    except Exception as error:  # The host would log it and make the plain job.
        log.exception("the comparison failed")
        control.tell({"state": "failed", "message": str(error)})
        _refuse(p, error)
    else:
        control.done(written)
        comparison_job.leave(p, f"report: {written.path}", [folder / name for name in written.grids])
