"""REST routes under /sticky/v1/compare: begin, watch and cancel comparisons, and read what they found."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fastapi import Body, FastAPI, HTTPException

from lib_sticky.api.answers import guarded, or_422
from lib_sticky.api.compare_jobs import Comparisons, Request, State
from lib_sticky.api.compare_run import FIELD
from lib_sticky.config import ConfigError, parse
from lib_sticky.hosts.host_api import HostApi
from lib_sticky.lab import asked
from lib_sticky.lab.sticky_arms import check

PREFIX = "/sticky/v1/compare"
_OWN = ("sticky", "seeds", "cfg", "checkpoints")
_ELSEWHERE = {
    "negative_prompt": "every arm has its own negative; what pictures should be free of goes into terms of sticky",
    "cfg_scale": "the scales to compare go into cfg, a list",
    "n_iter": "how many pictures there are is seeds",
    "script_name": "a comparison takes the place of a selectable script",
    "alwayson_scripts": "the fields of Sticky go into sticky; other scripts have their defaults",
}


def add(app: FastAPI, host: HostApi, jobs: Comparisons, accounts: Mapping[str, str]) -> None:
    """Mount the routes; with `accounts` every one of them asks for a name and password, as the host's API does."""
    only = guarded(accounts)

    @app.post(PREFIX, **only)
    def start(body: Any = Body(...)) -> dict[str, str]:  # noqa: B008 (FastAPI's own form)
        return or_422(lambda: {"id": jobs.submit(ordered(body, host))})

    @app.get(PREFIX, **only)
    def everything() -> list[dict[str, Any]]:
        return [asdict(state) for state in jobs.states()]

    @app.get(PREFIX + "/{job_id}", **only)
    def progress(job_id: str) -> dict[str, Any]:
        return asdict(_known(jobs, job_id))

    @app.get(PREFIX + "/{job_id}/result", **only)
    def result(job_id: str) -> dict[str, Any]:
        return found(_known(jobs, job_id))

    @app.delete(PREFIX + "/{job_id}", **only)
    def cancel(job_id: str) -> dict[str, Any]:
        _known(jobs, job_id)
        jobs.cancel(job_id)
        return asdict(_known(jobs, job_id))


def ordered(body: Any, host: HostApi) -> Request:
    """A comparison from a request's JSON: fields of txt2img, `sticky`, and what is compared. ConfigError names a field.

    Everything that can be known is checked here, before anything is sampled.
    """
    if not isinstance(body, dict):
        raise ConfigError("(whole body)", f"expected an object with fields of txt2img and {', '.join(_OWN)}")
    wanted = asked.read({name: body[name] for name in _OWN[1:] if name in body})
    fields = body.get("sticky", {})
    check(parse(fields))
    payload = {name: value for name, value in body.items() if name not in _OWN}
    for name, words in _ELSEWHERE.items():
        if payload.get(name):
            raise ConfigError(name, words)
    if not str(payload.get("prompt", "")).strip():
        raise ConfigError("prompt", "is empty; a sticky negative needs a prompt to track")
    host.request(payload)

    def send(job_id: str) -> None:
        dict_of_ours = {**fields, FIELD: {**asdict(replace(wanted, id=job_id))}}
        host.txt2img(host.request({
            **payload, "send_images": False, "alwayson_scripts": {"Sticky": {"args": [dict_of_ours]}},
        }))  # fmt: skip

    return Request(str(payload["prompt"]), wanted, send)


def found(state: State) -> dict[str, Any]:
    """Where everything is, and the tables as lists of objects. HTTPException 409 before it is done."""
    if state.state != "done":
        raise HTTPException(409, f"the comparison is {state.state}: {state.message}")
    folder = Path(state.folder)
    return {
        "folder": state.folder,
        "report": str(folder / state.report),
        "grids": [str(folder / name) for name in state.grids],
        "tables": {name: _table(folder / name) for name in state.tables},
    }


def _table(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _value(text) for name, text in line.items()} for line in csv.DictReader(file)]


def _value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _known(jobs: Comparisons, job_id: str) -> State:
    state = jobs.state(job_id)
    if state is None:
        raise HTTPException(404, f"id: there is no comparison {job_id!r}; finished ones are forgotten after a while")
    return state
