"""Comparisons as jobs and over REST, with a host that makes no picture."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib_sticky.api import compare_routes
from lib_sticky.api.compare_jobs import Comparisons, Request, State
from lib_sticky.api.compare_routes import PREFIX
from lib_sticky.lab.asked import Asked
from lib_sticky.lab.comparing import Progress
from lib_sticky.lab.comparison_report import Written
from lib_sticky.webui.compare_controls import status

BODY = {"prompt": "a cat", "steps": 4, "seeds": 2, "cfg": [7], "sticky": {"terms": "blurry"}}


class Api:
    """Stands for the host's own API: takes any request and hands it to `begin`, as the script's hook would be."""

    def __init__(self, begin: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.begin = begin
        self.requests: list[dict[str, Any]] = []

    def request(self, payload: dict[str, Any]) -> dict[str, Any]:
        return payload

    def txt2img(self, request: dict[str, Any]) -> None:
        self.requests.append(request)
        self.begin(request["alwayson_scripts"]["Sticky"]["args"][0])


def client(api: Api, jobs: Comparisons, accounts: dict[str, str] | None = None) -> TestClient:
    app = FastAPI()
    compare_routes.add(app, api, jobs, accounts or {})  # type: ignore[arg-type]
    return TestClient(app)


def settled(jobs: Comparisons, job_id: str) -> State:
    give_up = time.monotonic() + 10
    while (state := jobs.state(job_id)) is None or state.active:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return state


def test_a_request_goes_through_the_hosts_own_api_and_is_told_of(tmp_path: Path) -> None:
    jobs = Comparisons()
    (tmp_path / "differences.csv").write_text("metric,p\ncontrast,0.5\n", encoding="utf-8")

    def begin(fields: dict[str, Any]) -> None:
        control = jobs.control(fields["compare"]["id"])
        assert control is not None and control.asked.seeds == 2
        assert jobs.control(fields["compare"]["id"]) is None, "a comparison is begun once"
        control.progress(Progress(3, 10, "A2 sticky", 1, 4))
        control.done(Written(tmp_path, "report.html", ("grids/1.png",), ("differences.csv",)))

    api = Api(begin)
    with client(api, jobs) as found:
        job_id = found.post(PREFIX, json=BODY).json()["id"]
        assert settled(jobs, job_id).done == 3
        sent = api.requests[0]
        assert sent["prompt"] == "a cat" and sent["steps"] == 4 and "seeds" not in sent and "sticky" not in sent
        assert found.get(f"{PREFIX}/{job_id}").json()["state"] == "done"
        result = found.get(f"{PREFIX}/{job_id}/result").json()
        assert result["report"] == str(tmp_path / "report.html")
        assert result["tables"] == {"differences.csv": [{"metric": "contrast", "p": 0.5}]}
        assert [state["id"] for state in found.get(PREFIX).json()] == [job_id]
    jobs.close()


def test_a_host_that_never_begins_and_one_that_fails_are_said() -> None:
    def failing(_fields: dict[str, Any]) -> None:
        raise RuntimeError("no memory")

    for api, words in ((Api(), "without making"), (Api(failing), "no memory")):
        jobs = Comparisons()
        with client(api, jobs) as found:
            job_id = found.post(PREFIX, json=BODY).json()["id"]
            assert words in settled(jobs, job_id).message
            assert found.get(f"{PREFIX}/{job_id}/result").status_code == 409
        jobs.close()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"prompt": ""}, "prompt"), ({"cfg": [0.5]}, "cfg"), ({"seeds": 0}, "seeds"), ({"cfg_scale": 7}, "cfg_scale"),
        ({"sticky": {"terms": " "}}, "terms"), ({"sticky": {"untitled": True}}, "untitled"), ({"sticky": []}, "object"),
        ({"sticky": {"neglora": "x"}}, "neglora"), ({"sticky": {"pag": 99}}, "pag"), ({"n_iter": 3}, "n_iter"),
        ({"script_name": "x/y/z plot"}, "script_name"), ({"alwayson_scripts": {"a": {}}}, "alwayson_scripts"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_the_host_is_asked(changed: dict[str, Any], field: str) -> None:
    api, jobs = Api(), Comparisons()
    with client(api, jobs) as found:
        answer = found.post(PREFIX, json={**BODY, **changed})
    assert answer.status_code == 422 and field in answer.json()["detail"]
    assert jobs.states() == () and api.requests == []


def test_unknown_ids_and_accounts() -> None:
    with client(Api(), Comparisons()) as found:
        assert found.get(f"{PREFIX}/none").status_code == 404 == found.delete(f"{PREFIX}/none").status_code
    with client(Api(), Comparisons(), {"user": "word"}) as found:
        assert found.get(PREFIX).status_code == 401
        assert found.get(PREFIX, auth=("user", "wrong")).status_code == 401
        assert found.get(PREFIX, auth=("user", "word")).json() == []


def test_a_comparison_of_the_page_waits_for_its_job_and_can_be_stopped() -> None:
    jobs = Comparisons()
    job_id = jobs.expect(Request("this page's job", Asked()))
    assert "data-state='queued'" in status(jobs, job_id)
    assert jobs.cancel(job_id)
    control = jobs.control(job_id)
    assert control is not None and control.stopped()


def test_the_page_shows_progress_and_a_link_and_escapes(tmp_path: Path) -> None:
    jobs = Comparisons()
    job_id = jobs.expect(Request("job", Asked()))
    control = jobs.control(job_id)
    assert control is not None
    control.progress(Progress(3, 10, "A2 <sticky>", 2, 4))
    text = status(jobs, job_id)
    assert "value='3.50' max='10'" in text and "picture 3 of 10: A2 &lt;sticky&gt;" in text
    folder = tmp_path / "it's here"
    control.done(Written(folder, "report.html", (), ()))
    text = status(jobs, job_id)
    assert "Open the report" in text and "it%27s%20here/report.html" in text
    assert status(jobs, "unknown") == ""
