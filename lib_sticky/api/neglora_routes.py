"""REST routes under /sticky/v1/neglora: wrong pictures by the host, and programs that train and compare a LoRA."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from fastapi import Body, FastAPI, HTTPException
from fastapi.responses import FileResponse

from lib_sticky.api.answers import guarded, or_422
from lib_sticky.api.job_queue import JobQueue
from lib_sticky.api.neglora_orders import Shelf, comparison, training
from lib_sticky.api.programs import Program, Programs
from lib_sticky.api.wrong_jobs import WrongPictures
from lib_sticky.api.wrong_orders import read_order
from lib_sticky.lab.contact_sheet import CONTACT_SHEET

PREFIX = "/sticky/v1/neglora"


def add(app: FastAPI, wrong: WrongPictures, programs: Programs, shelf: Shelf, accounts: Mapping[str, str]) -> None:
    """Mount the routes; with `accounts` every one of them asks for a name and password, as the host's API does."""
    only = guarded(accounts)

    @app.post(PREFIX + "/pictures", **only)
    def make(body: Any = Body(...)) -> dict[str, str]:  # noqa: B008 (FastAPI's own form)
        return or_422(lambda: {"id": wrong.submit(read_order(body, wrong.painter))})

    @app.get(PREFIX + "/pictures/{job_id}/contact-sheet", **only)
    def sheet(job_id: str) -> FileResponse:
        path = _known(wrong, job_id).folder / CONTACT_SHEET
        if not path.is_file():
            raise HTTPException(404, "id: this set has no contact sheet yet")
        return FileResponse(path, media_type="image/png")

    @app.post(PREFIX + "/train", **only)
    def train(body: Any = Body(...)) -> dict[str, str]:  # noqa: B008
        return _started(lambda: training(body, shelf, wrong.painter.model().path))

    @app.post(PREFIX + "/compare", **only)
    def compare(body: Any = Body(...)) -> dict[str, str]:  # noqa: B008
        return _started(lambda: comparison(body, shelf, wrong.painter.model().path))

    def _started(program: Callable[[], Program]) -> dict[str, str]:
        def started() -> dict[str, str]:
            order = program()
            return {"id": programs.submit(order), "command": order.command}

        return or_422(started)

    for kind, jobs in (("pictures", wrong), ("programs", programs)):
        _add_watching(app, f"{PREFIX}/{kind}", jobs, only)


def _add_watching(app: FastAPI, prefix: str, jobs: JobQueue[Any, Any], only: Mapping[str, Any]) -> None:
    @app.get(prefix, **only)
    def listed() -> list[dict[str, Any]]:
        return [_told(state) for state in jobs.states()]

    @app.get(prefix + "/{job_id}", **only)
    def progress(job_id: str) -> dict[str, Any]:
        return _told(_known(jobs, job_id))

    @app.delete(prefix + "/{job_id}", **only)
    def cancel(job_id: str) -> dict[str, Any]:
        _known(jobs, job_id)
        jobs.cancel(job_id)
        return _told(_known(jobs, job_id))


def _told(state: Any) -> dict[str, Any]:
    return {name: str(value) if name == "folder" else value for name, value in asdict(state).items()}


def _known(jobs: JobQueue[Any, Any], job_id: str) -> Any:
    state = jobs.state(job_id)
    if state is None:
        raise HTTPException(404, f"id: there is no job {job_id!r}; finished ones are forgotten after a while")
    return state
