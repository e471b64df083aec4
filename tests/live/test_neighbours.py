"""Beside other guidance extensions, each at work, ticked equals by hand; skipped where the host lacks one."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from tests.live.cases import HIRES, STICKY, Case
from tests.live.matrix import verdict
from tests.live.webui import URL, call, job

PAG = [False, 11.0, 0, 150, False, 1.0, 0.8, 3.0, 0.0, 0, 150, 4, True, 3.0]
NEIGHBOURS: dict[str, list[Any]] = {
    "dynamic thresholding (cfg scale fix)": [True, 3.0, 100],
    "neutral prompt": [0.5],
    "incantations": PAG,
}
BY_HAND = "a cat, ugly, blurry, (bad:1.2)"
CASES = [
    Case("plain", "a cat", BY_HAND, "ugly"),
    Case("[a:b:0.5]", "a [cat:dog:0.5]", "a [cat:dog:0.5], ugly, blurry, (bad:1.2)", "ugly"),
    Case("own chunk", "a cat", "a cat BREAK ugly, blurry, (bad:1.2)", "ugly", {**STICKY, "placement": "own chunk"}),
    Case("batch of 2", "a cat", BY_HAND, "ugly", extra={"batch_size": 2}),
    Case("DPM++ SDE", "a cat", BY_HAND, "ugly", extra={"sampler_name": "DPM++ SDE"}),
    Case("hires fix", "a cat", BY_HAND, "ugly", extra=HIRES),
]
PERPENDICULAR = Case("AND_PERP", "a cat AND_PERP a dog :0.8", "a cat BREAK a dog, ugly, blurry, (bad:1.2)", "ugly")


@cache
def _listed() -> frozenset[str]:
    return frozenset(script["name"] for script in call("/sdapi/v1/script-info")) if URL else frozenset()


@pytest.fixture(params=NEIGHBOURS)
def neighbour(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The request field that switches one neighbour on."""
    if request.param not in _listed():
        pytest.skip(f"the host lacks {request.param}")
    return {"alwayson_scripts": {request.param: {"args": NEIGHBOURS[request.param]}}}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ticked_equals_by_hand_beside(neighbour: dict[str, Any], case: Case) -> None:
    beside = replace(case, extra={**case.extra, **neighbour})
    assert verdict(beside) == "identical"
    assert job(beside.payload(), STICKY).raw != job(case.payload(), STICKY).raw, "the neighbour changes nothing"


def test_neutral_prompts_keywords_are_tracked_as_parts() -> None:
    if "neutral prompt" not in _listed():
        pytest.skip("the host lacks neutral prompt")
    assert verdict(PERPENDICULAR) == "identical"
