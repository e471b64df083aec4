"""REST routes under /sticky/v1/untitled: start, watch and cancel runs, vote on their pictures, get results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import Body, FastAPI, HTTPException
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse

from lib_sticky.api.answers import guarded, or_422
from lib_sticky.api.untitled_orders import DEFAULTS, read_order
from lib_sticky.api.untitled_report import report
from lib_sticky.api.untitled_results import Result, Yield, results, taste, taste_words
from lib_sticky.api.untitled_runs import Picture, Run, Runs
from lib_sticky.config import ConfigError
from lib_sticky.votes import Vote, as_csv

PREFIX = "/sticky/v1/untitled"
_OWN_FORM = ("order", "folder", "pictures")


def add(app: FastAPI, runs: Runs, accounts: Mapping[str, str]) -> None:
    """Mount the routes; with `accounts` every one of them asks for a name and password, as the host's API does."""
    only = guarded(accounts)

    @app.post(PREFIX, **only)
    def start(body: Any = Body(...)) -> dict[str, str]:  # noqa: B008 (FastAPI's own form)
        return or_422(lambda: {"id": runs.submit(read_order(body, runs.painter))})

    @app.get(PREFIX, **only)
    def listed() -> list[dict[str, Any]]:
        return [_state(run) for run in runs.states()]

    @app.get(PREFIX + "/votes", **only)
    def votes() -> PlainTextResponse:
        return or_422(lambda: PlainTextResponse(as_csv(runs.votes.all()), media_type="text/csv"))

    @app.get(PREFIX + "/{run_id}", **only)
    def progress(run_id: str) -> dict[str, Any]:
        run = _known(runs, run_id)
        return or_422(lambda: told(run, runs.votes.all()))

    @app.delete(PREFIX + "/{run_id}", **only)
    def cancel(run_id: str) -> dict[str, Any]:
        _known(runs, run_id)
        runs.cancel(run_id)
        return _state(_known(runs, run_id))

    @app.post(PREFIX + "/{run_id}/vote", **only)
    def vote(run_id: str, body: Any = Body(...)) -> dict[str, Any]:  # noqa: B008
        run = _known(runs, run_id)
        or_422(lambda: runs.vote(run, *read_vote(body)))
        return or_422(lambda: told(run, runs.votes.all()))

    @app.get(PREFIX + "/{run_id}/report", **only)
    def page(run_id: str) -> HTMLResponse:
        run = _known(runs, run_id)
        return or_422(lambda: HTMLResponse(report(run, runs.votes.all())))

    @app.get(PREFIX + "/{run_id}/pictures/{sha256}", **only)
    def picture(run_id: str, sha256: str) -> FileResponse:
        for each in _known(runs, run_id).pictures:
            if each.sha256 == sha256 and each.file.is_file():
                return FileResponse(each.file, media_type="image/png")
        raise HTTPException(404, f"sha256: this run has no picture {sha256[:80]!r}, or its file is gone")


def read_vote(body: Any) -> tuple[str, bool | None]:
    """The picture's hash and keep (true), reject (false) or no vote (null); ConfigError names the bad field."""
    if not isinstance(body, dict) or set(body) != {"sha256", "keep"}:
        raise ConfigError("(whole body)", "expected an object with sha256 and keep")
    if not isinstance(body["sha256"], str):
        raise ConfigError("sha256", "is not text")
    if body["keep"] is not None and not isinstance(body["keep"], bool):
        raise ConfigError("keep", "is none of true, false and null")
    return body["sha256"], body["keep"]


def told(run: Run, votes: list[Vote]) -> dict[str, Any]:
    """A run as JSON: how far it is, its pictures, and what they came to."""
    found, learned = results(run, votes), taste(votes)
    return {
        **_state(run),
        "results": [_result(each) for each in found.presets],
        "by_votes": [asdict(each) for each in found.by_votes],
        "by_rule": [asdict(each) for each in found.by_rule],
        "taste": {"words": taste_words(learned), "auc": None if isinstance(learned, str) else asdict(learned.auc)},
        "pictures": [
            {
                **_picture(each),
                "vote": found.votes.get((each.sha256, each.preset)),
                "taste": None if isinstance(learned, str) else learned.taste.chance(each.scores),
            }
            for each in run.pictures
        ],
    }


def _result(each: Result) -> dict[str, Any]:
    return {**asdict(each), "voted": _yield(each.voted), "passed": _yield(each.passed)}


def _yield(each: Yield) -> dict[str, Any]:
    """Without pictures the share is null: JSON has no NaN."""
    share = asdict(each.share)
    return {**asdict(each), "share": share if each.votes else {**share, "value": None}}


def _picture(each: Picture) -> dict[str, Any]:
    return {
        "sha256": each.sha256, "preset": each.preset, "seed": each.drawn.seed, "passed": each.drawn.kept,
        "said": each.said, "scores": each.scores, "acted": each.acted, "infotext": each.infotext,
    }  # fmt: skip


def _state(run: Run) -> dict[str, Any]:
    asked = {name: getattr(run.order, name) for name in DEFAULTS}
    rest = {name: value for name, value in vars(run).items() if name not in _OWN_FORM}
    return {**rest, "made": len(run.pictures), "total": run.order.total, "order": asked, "folder": str(run.folder)}


def _known(runs: Runs, run_id: str) -> Run:
    run = runs.state(run_id)
    if run is None:
        raise HTTPException(404, f"id: there is no run {run_id!r}; finished ones are forgotten after a while")
    return run
