"""The merge routes of a WebUI that runs with `--api-auth`: who may ask, what is refused, and that merges queue.

STICKY_LIVE_AUTH is one of its accounts, as user:password; STICKY_LIVE_MERGE names two checkpoints of one layout.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.live.webui import MERGE, URL

ACCOUNT = os.environ.get("STICKY_LIVE_AUTH", "")
ROUTE = "/sticky/v1/merge"
PATIENCE = 300
"""Seconds for two small merges on a busy machine."""

pytestmark = pytest.mark.skipif(not (ACCOUNT and len(MERGE) == 2), reason="needs STICKY_LIVE_AUTH and _MERGE")


def ask(method: str, path: str, body: Any = None, account: str = ACCOUNT) -> tuple[int, Any]:
    """Status and answer of one request; without `account` no credentials are sent."""
    headers = {"Content-Type": "application/json"}
    if account:
        headers["Authorization"] = "Basic " + base64.b64encode(account.encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def order(name: str, root: Any = None) -> dict[str, Any]:
    half = {"merge": "weighted_sum", "inputs": [f"{each}.safetensors" for each in MERGE]}
    return {"recipe": {"schema": 1, "root": half if root is None else root}, "name": name}


@pytest.mark.parametrize("account", ["", "user:wrong", f"nobody:{ACCOUNT.partition(':')[2]}", ":"])
def test_nobody_without_the_password_gets_an_answer(account: str) -> None:
    name = f"refused-{secrets.token_hex(3)}"
    for method, path, body in (
        ("GET", f"{ROUTE}/methods", None),
        ("POST", f"{ROUTE}/plan", order(name)),
        ("POST", ROUTE, order(name)),
        ("GET", f"{ROUTE}/x", None),
        ("DELETE", f"{ROUTE}/x", None),
    ):
        assert ask(method, path, body, account)[0] == 401, (method, path)
    models = ask("GET", "/sdapi/v1/sd-models")[1]
    assert not any(model["title"].startswith(name) for model in models)


@pytest.mark.parametrize("path", ["/etc/passwd", "../config", "..\\config", "C:\\x", "a/../../x"])
def test_paths_are_refused_also_with_the_password(path: str) -> None:
    status, said = ask("POST", ROUTE, order("out", path))
    assert status == 422 and "refused" in said
    status, said = ask("POST", ROUTE, order(path))
    assert status == 422 and "Sticky: name" in said


def test_two_merges_queue() -> None:
    name = f"auth-{secrets.token_hex(3)}"
    answers = [ask("POST", ROUTE, order(f"{name}-{number}")) for number in (1, 2)]
    assert [status for status, _ in answers] == [200, 200], answers
    ids = [answer["id"] for _, answer in answers]
    seen: list[tuple[str, str]] = []
    until = time.monotonic() + PATIENCE
    while ("done", "done") not in seen and time.monotonic() < until:
        first, second = (ask("GET", f"{ROUTE}/{each}")[1]["state"] for each in ids)
        seen.append((first, second))
        time.sleep(0.05)
    assert seen[-1] == ("done", "done"), seen[-1]
    assert ("running", "queued") in seen
    assert ("running", "running") not in seen
