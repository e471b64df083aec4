"""The merge routes: what they make, what they refuse, who may ask."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from safetensors.torch import load_file

from lib_sticky.api import merge_routes
from lib_sticky.api.merge_jobs import Jobs
from lib_sticky.merge import METHODS
from tests.api.shop import Gate, Shelf, half, waited

URL = "/sticky/v1/merge"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    made.add("a", 1.0)
    made.add("b", 3.0)
    return made


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def jobs(shelf: Shelf, gate: Gate) -> Iterator[Jobs]:
    made = Jobs(shelf, gate.run)
    yield made
    made.close()


@pytest.fixture
def client(shelf: Shelf, jobs: Jobs) -> TestClient:
    app = FastAPI()
    merge_routes.add(app, shelf, jobs, {})
    return TestClient(app)


def test_a_recipe_becomes_a_file_of_its_numbers(client: TestClient, shelf: Shelf, jobs: Jobs, gate: Gate) -> None:
    gate.open.release()
    answer = client.post(URL, json={"recipe": half(alpha=0.25), "name": "quarter"})
    assert answer.status_code == 200, answer.text
    assert waited(jobs, answer.json()["id"]).state == "done"
    told = client.get(f"{URL}/{answer.json()['id']}").json()
    assert (told["state"], told["name"], told["bytes_done"]) == ("done", "quarter.safetensors", told["bytes_total"])
    tensors = load_file(shelf.folder() / "quarter.safetensors")
    assert all((value == 1.5).all() for value in tensors.values())  # 0.75 * 1 + 0.25 * 3
    assert told["sha256"] == shelf.hashes().get(shelf.folder() / "quarter.safetensors")
    assert shelf.refreshed == 1


def test_two_jobs_at_once_queue_and_keep_their_order(client: TestClient, jobs: Jobs, gate: Gate) -> None:
    first, second = (client.post(URL, json={"recipe": half(), "name": name}).json()["id"] for name in ("one", "two"))
    waited(jobs, first, lambda state: state.state == "running")
    assert client.get(f"{URL}/{second}").json()["state"] == "queued"
    gate.open.release(2)
    assert [waited(jobs, each).state for each in (first, second)] == ["done", "done"]
    assert gate.began == ["one.safetensors", "two.safetensors"]
    assert gate.most == 1


def test_delete_cancels_a_running_and_a_queued_job_and_leaves_nothing(
    client: TestClient, shelf: Shelf, jobs: Jobs, gate: Gate
) -> None:
    first, second = (client.post(URL, json={"recipe": half(), "name": name}).json()["id"] for name in ("one", "two"))
    waited(jobs, first, lambda state: state.state == "running")
    assert client.delete(f"{URL}/{second}").json()["state"] == "cancelled"
    client.delete(f"{URL}/{first}")
    assert waited(jobs, first).state == "cancelled"
    assert sorted(path.name for path in shelf.folder().iterdir()) == ["a.safetensors", "b.safetensors"]
    assert gate.began == ["one.safetensors"]


def test_a_finished_job_is_not_cancelled_by_delete(client: TestClient, jobs: Jobs, gate: Gate) -> None:
    gate.open.release()
    job = client.post(URL, json={"recipe": half(), "name": "one"}).json()["id"]
    waited(jobs, job)
    assert client.delete(f"{URL}/{job}").json()["state"] == "done"


BAD_NAMES = [
    "",
    " ",
    "..",
    "../out",
    "x/out",
    "x\\out",
    "/tmp/out",
    "C:out",
    ".hidden",
    "nul",
    "a\0b",
    "n" * 300,
    None,
    7,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_an_output_name_that_is_not_a_plain_file_name_is_refused(client: TestClient, name: Any) -> None:
    answer = client.post(URL, json={"recipe": half(), "name": name})
    assert answer.status_code == 422
    assert "Sticky: name: " in answer.json()["detail"]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../secret", "x/../../secret", "..\\secret", "C:\\secret", "\\\\host\\x"]
)
def test_an_input_outside_the_model_folders_is_refused(client: TestClient, shelf: Shelf, name: str) -> None:
    (shelf.root / "secret.safetensors").write_bytes((shelf.folder() / "a.safetensors").read_bytes())
    for path in ("/plan", ""):
        answer = client.post(URL + path, json={"recipe": half(b=name), "name": "out"})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("Sticky: recipe: ")
        assert "refused" in answer.json()["detail"]


def test_a_link_that_leads_out_of_the_model_folders_is_refused(client: TestClient, shelf: Shelf) -> None:
    outside = shelf.root / "secret.safetensors"
    outside.write_bytes((shelf.folder() / "a.safetensors").read_bytes())
    os.symlink(outside, shelf.folder() / "link.safetensors")
    answer = client.post(URL, json={"recipe": half(b="link"), "name": "out"})
    assert answer.status_code == 422
    assert "'link' is a link that leads out of the model folders" in answer.json()["detail"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_name_that_is_a_link_is_never_written_through(
    client: TestClient, shelf: Shelf, overwrite: bool
) -> None:
    outside = shelf.root / "precious.safetensors"
    outside.write_bytes(b"precious")
    os.symlink(outside, shelf.folder() / "out.safetensors")
    answer = client.post(URL, json={"recipe": half(), "name": "out", "overwrite": overwrite})
    assert answer.status_code == 422
    assert outside.read_bytes() == b"precious"


def test_an_input_is_never_the_output(client: TestClient, shelf: Shelf) -> None:
    before = (shelf.folder() / "a.safetensors").read_bytes()
    answer = client.post(URL, json={"recipe": half(), "name": "a", "overwrite": True})
    assert answer.status_code == 422
    assert "is also an input" in answer.json()["detail"]
    assert (shelf.folder() / "a.safetensors").read_bytes() == before


def test_an_existing_file_is_replaced_only_on_request(client: TestClient, shelf: Shelf, jobs: Jobs, gate: Gate) -> None:
    shelf.add("out", 9.0)
    refused = client.post(URL, json={"recipe": half(), "name": "out"})
    assert refused.status_code == 422
    assert "Sticky: name: out.safetensors exists" in refused.json()["detail"]
    gate.open.release()
    allowed = client.post(URL, json={"recipe": half(), "name": "out", "overwrite": True})
    assert waited(jobs, allowed.json()["id"]).state == "done"
    assert all((value == 2.0).all() for value in load_file(shelf.folder() / "out.safetensors").values())


class _Bomb:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_a_pickle_is_refused_and_never_run(client: TestClient, shelf: Shelf, ending: str) -> None:
    trace = shelf.root / "it-ran"
    (shelf.folder() / f"evil.{ending}").write_bytes(pickle.dumps(_Bomb(trace)))
    answer = client.post(URL, json={"recipe": half(b=f"evil.{ending}"), "name": "out"})
    assert answer.status_code == 422
    assert "pickle" in answer.json()["detail"]
    assert not trace.exists()


@pytest.mark.parametrize(("body", "field"), [
    ([], "(whole body)"),
    ({"recipe": half(), "name": "o", "path": "/x"}, "path"),
    ({"recipe": half(), "name": "o", "keep": 1}, "keep"),
    ({"name": "o"}, "recipe"),
    ({"recipe": {"schema": 9, "root": "a"}, "name": "o"}, "recipe"),
    ({"recipe": half(b="nowhere"), "name": "o"}, "recipe"),
    ({"recipe": half(alpha=7.0), "name": "o"}, "recipe"),
])  # fmt: skip
def test_a_bad_request_names_its_field(client: TestClient, body: Any, field: str) -> None:
    answer = client.post(URL, json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"Sticky: {field}: ")


def test_models_that_do_not_fit_are_refused_unless_the_first_ones_tensors_are_kept(
    client: TestClient, shelf: Shelf, jobs: Jobs, gate: Gate
) -> None:
    shelf.add("short", 3.0, {"unet.a.weight": (8, 6)})
    told = client.post(f"{URL}/plan", json={"recipe": half(b="short"), "name": "out"}).json()
    assert not told["ready"]
    assert told["problems"] == ["short: 2 keys that it lacks"]
    assert client.post(URL, json={"recipe": half(b="short"), "name": "out"}).status_code == 422
    gate.open.release()
    answer = client.post(URL, json={"recipe": half(b="short"), "name": "out", "keep": True})
    assert waited(jobs, answer.json()["id"]).state == "done"
    found = load_file(shelf.folder() / "out.safetensors")
    assert found["unet.a.weight"].unique().tolist() == [2.0]
    assert found["unet.a.bias"].unique().tolist() == [1.0]


def test_a_plan_says_bytes_and_writes_nothing(client: TestClient, shelf: Shelf) -> None:
    told = client.post(f"{URL}/plan", json={"recipe": half(), "name": "out"}).json()
    assert told["ready"]
    assert told["tensors"] == 3
    assert told["output_bytes"] == 4 * (48 + 8 + 91)
    assert told["read_bytes"] == sum(path.stat().st_size for path in shelf.folder().iterdir())
    assert sorted(path.name for path in shelf.folder().iterdir()) == ["a.safetensors", "b.safetensors"]


def test_every_method_is_described_by_its_signature(client: TestClient) -> None:
    told = {method["name"]: method for method in client.get(f"{URL}/methods").json()}
    assert told.keys() == METHODS.keys()
    alpha = told["weighted_sum"]["parameters"][0]
    assert (alpha["name"], alpha["default"], alpha["low"], alpha["high"]) == ("alpha", 0.5, -1.0, 2.0)
    assert told["ties"]["parameters"][1]["options"] == ["mass", "count"]


def test_an_unknown_job_is_not_found(client: TestClient) -> None:
    assert client.get(f"{URL}/nothing").status_code == 404
    assert client.delete(f"{URL}/nothing").status_code == 404


def test_every_route_asks_for_the_hosts_accounts(shelf: Shelf, jobs: Jobs) -> None:
    app = FastAPI()
    merge_routes.add(app, shelf, jobs, {"user": "password", "empty": ""})
    client = TestClient(app)
    asked = [("GET", "/methods"), ("POST", "/plan"), ("POST", ""), ("GET", "/x"), ("DELETE", "/x")]
    for method, path in asked:
        wrong = [None, ("user", "wrong"), ("nobody", "password"), ("nobody", ""), ("empty", "")]
        for auth in wrong:
            assert client.request(method, URL + path, json={}, auth=auth).status_code == 401, (method, path, auth)
        assert client.request(method, URL + path, json={}, auth=("user", "password")).status_code != 401
    assert {(next(iter(route.methods)), route.path) for route in app.routes if URL in route.path} == {  # type: ignore[attr-defined]
        ("GET", f"{URL}/methods"), ("POST", f"{URL}/plan"), ("POST", URL),
        ("GET", f"{URL}/{{job_id}}"), ("DELETE", f"{URL}/{{job_id}}"),
    }  # fmt: skip
