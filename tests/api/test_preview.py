"""The preview, schema and version routes on an app of their own."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lib_sticky import __version__
from lib_sticky.api import routes
from lib_sticky.config import schema
from lib_sticky.hosts.base import Facts
from lib_sticky.prompt.packs import PACKS


class Host:
    """A host whose tokens are words, with or without a model."""

    name = "host"

    def __init__(self, loaded: bool = True) -> None:
        self.loaded = loaded

    def version(self) -> str:
        return "1.2"

    def count_tokens(self, text: str) -> int | None:
        return len(text.split()) if self.loaded else None

    def facts(self, cfg_scale: float, p: Any = None) -> Facts:
        return Facts(cfg_scale, skips=("the host skips",) if p is None else ())


def client(loaded: bool = True) -> TestClient:
    app = FastAPI()
    routes.add(app, Host(loaded))  # type: ignore[arg-type]
    return TestClient(app)


def test_what_is_installed() -> None:
    get = client().get
    assert get("/sticky/v1/version").json() == {"version": __version__, "host": "host", "host_version": "1.2"}
    assert get("/sticky/v1/schema").json() == schema()
    assert get("/sticky/v1/packs").json() == dict(PACKS)


def test_the_preview_is_what_would_be_encoded() -> None:
    body = {"prompt": "a cat <lora:x:1>", "negative_prompt": "ugly", "cfg_scale": 1,
            "sticky": {"terms": "bad", "placement": 1}}  # fmt: skip
    found = client().post("/sticky/v1/preview", json=body).json()
    assert found["negative"] == "a cat BREAK ugly, bad"
    assert (found["tokens"], found["chunks"]) == (4, 2)
    assert any("CFG is 1" in words for words in found["warnings"])
    assert "the host skips" in found["warnings"]


def test_without_a_model_there_is_nothing_to_count() -> None:
    found = client(loaded=False).post("/sticky/v1/preview", json={"prompt": "a cat"}).json()
    assert (found["tokens"], found["chunks"]) == (None, None)


@pytest.mark.parametrize(
    ("body", "named"),
    [(5, "whole value"), ([], "whole value"), ({"prompt": 1}, "prompt"), ({"cfg_scale": True}, "cfg_scale"),
     ({"sticky": []}, "sticky"), ({"sticky": {"strat": 1}}, "start"), ({"negative_prompt": None}, "negative_prompt")],
)  # fmt: skip
def test_a_bad_body_is_answered_with_the_field(body: Any, named: str) -> None:
    answer = client().post("/sticky/v1/preview", json=body)
    assert answer.status_code == 422
    assert named in answer.json()["detail"]
