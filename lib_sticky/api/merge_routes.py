"""REST routes under /sticky/v1/merge: plan, start, watch and cancel merges inside the host's model folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import Body, FastAPI, HTTPException

from lib_sticky.api.answers import guarded, or_422
from lib_sticky.api.merge_jobs import Jobs
from lib_sticky.api.merge_orders import facts_of, methods, read_order, require
from lib_sticky.hosts.checkpoints import Checkpoints

PREFIX = "/sticky/v1/merge"


def add(app: FastAPI, checkpoints: Checkpoints, jobs: Jobs, accounts: Mapping[str, str]) -> None:
    """Mount the routes; with `accounts` every one of them asks for a name and password, as the host's API does."""
    only = guarded(accounts)

    @app.get(PREFIX + "/methods", **only)
    def show_methods() -> list[dict[str, Any]]:
        return methods()

    @app.post(PREFIX + "/plan", **only)
    def plan(body: Any = Body(...)) -> dict[str, Any]:  # noqa: B008 (FastAPI's own form)
        return or_422(lambda: asdict(facts_of(read_order(body, checkpoints), checkpoints)))

    @app.post(PREFIX, **only)
    def start(body: Any = Body(...)) -> dict[str, str]:  # noqa: B008
        def submitted() -> dict[str, str]:
            order = read_order(body, checkpoints)
            require(order, facts_of(order, checkpoints))
            return {"id": jobs.submit(order)}

        return or_422(submitted)

    @app.get(PREFIX + "/{job_id}", **only)
    def progress(job_id: str) -> dict[str, Any]:
        return _known(jobs, job_id)

    @app.delete(PREFIX + "/{job_id}", **only)
    def cancel(job_id: str) -> dict[str, Any]:
        _known(jobs, job_id)
        jobs.cancel(job_id)
        return _known(jobs, job_id)


def _known(jobs: Jobs, job_id: str) -> dict[str, Any]:
    state = jobs.state(job_id)
    if state is None:
        raise HTTPException(404, f"id: there is no merge {job_id!r}; finished ones are forgotten after a while")
    return asdict(state)
