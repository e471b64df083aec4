"""Jobs inside a job (ADetailer), and the UNet's calls counted (must-holds 4 and 7).

Needs the test extension beside this file in the host: `ln -s <repository>/tests/live/nested_job <host>/extensions/`,
then restart the host. Skipped where the host does not list its scripts.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.live.cases import GUIDED, HIRES, LONG, STICKY, base
from tests.live.webui import LORA, URL, Answer, call, encoded, job

OUTER = {**base(), "prompt": "a cat", "negative_prompt": "ugly"}
OUTER_BY_HAND = "a cat, ugly, blurry, (bad:1.2)"
INNER_BY_HAND = "a dog, ugly, blurry, (bad:1.2)"


@cache
def _listed() -> set[str]:
    return {script["name"] for script in call("/sdapi/v1/script-info")} if URL else set()


@pytest.fixture(autouse=True)
def _the_test_extension() -> None:
    if not {"nested job", "count calls"} <= _listed():
        pytest.skip("the host lacks tests/live/nested_job")


def _nested(negative: str, inner_negative: str, sticky: Any = None) -> list[bytes]:
    """Pixels of the outer picture, the inner one with the sticky script and the inner one without."""
    args = {"Nested job": {"args": [True, "a dog", inner_negative]}}
    made = job({**OUTER, "negative_prompt": negative, "alwayson_scripts": args}, sticky)
    assert len(made.pixels) == 3
    return [pixels.tobytes() for pixels in made.pixels]


def test_an_inner_job_tracks_its_own_prompt_and_only_if_the_script_runs_in_it() -> None:
    before = job(OUTER)
    ticked = _nested("ugly", "ugly", STICKY)
    outer, tracked, _ = _nested(OUTER_BY_HAND, INNER_BY_HAND)
    _, _, untouched = _nested(OUTER_BY_HAND, "ugly")
    assert ticked == [outer, tracked, untouched]
    assert len(set(ticked)) == 3
    assert tracked != _nested(OUTER_BY_HAND, OUTER_BY_HAND)[1]
    assert job(OUTER).raw == before.raw


def test_guidance_acts_in_the_jobs_that_have_the_script_and_in_no_other() -> None:
    before, outer = job(OUTER), job(OUTER, GUIDED)
    inner = {
        **OUTER, "prompt": "a dog", "seed": 11, "init_images": [encoded(outer.pixels[0])], "denoising_strength": 0.8,
    }  # fmt: skip
    alone = [outer, job(inner, GUIDED), job(inner)]
    assert _nested("ugly", "ugly", GUIDED) == [made.pixels[0].tobytes() for made in alone]
    assert job(OUTER).raw == before.raw


def test_a_nested_job_that_is_off_leaves_the_outer_one_as_it_is() -> None:
    args = {"Nested job": {"args": [False, "a dog", ""]}}
    assert job({**OUTER, "alwayson_scripts": args}, STICKY).raw == job(OUTER, STICKY).raw


COUNTED = {
    "plain": ({}, OUTER_BY_HAND),
    "batch of 2": ({"batch_size": 2}, OUTER_BY_HAND),
    "hires fix": (HIRES, OUTER_BY_HAND),
    "two-part prompt": ({"prompt": "a cat AND a dog"}, "a cat BREAK a dog, ugly, blurry, (bad:1.2)"),
    "more chunks than the prompt": ({"prompt": LONG[:320]}, f"{LONG[:320]}, ugly, blurry, (bad:1.2)"),
    "second-order sampler": ({"sampler_name": "DPM++ SDE"}, OUTER_BY_HAND),
}


@pytest.mark.parametrize("name", COUNTED)
def test_the_unet_runs_as_often_as_with_the_same_text_typed(name: str) -> None:
    extra, by_hand = COUNTED[name]
    payload = {**OUTER, **extra, "alwayson_scripts": {"Count calls": {"args": [True]}}}
    ticked, typed = job(payload, STICKY), job({**payload, "negative_prompt": by_hand})
    assert _calls(ticked) == _calls(typed)
    assert ticked.pixels[0].tobytes() == typed.pixels[0].tobytes()


@pytest.mark.skipif(not LORA, reason="STICKY_LIVE_LORA names no LoRA of the host")
@pytest.mark.parametrize("name", ["plain", "batch of 2", "hires fix", "two-part prompt"])
def test_a_negative_lora_takes_no_further_call(name: str) -> None:
    payload = {**OUTER, **COUNTED[name][0], "alwayson_scripts": {"Count calls": {"args": [True]}}}
    without, with_it = job(payload), job(payload, {"neglora": LORA})
    assert _calls(without) == _calls(with_it)
    assert without.pixels[0].tobytes() != with_it.pixels[0].tobytes()


def _calls(made: Answer) -> str:
    return made.infotexts[0].rsplit("UNet calls: ", 1)[1].split(",")[0]
