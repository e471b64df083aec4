"""Making wrong pictures on a real WebUI, training on them beside it, and the trained LoRA as an ordinary one.

Training needs STICKY_LIVE_TRAIN=1: the environment of run.py beside the extension, and a checkpoint that trains fast.
"""

from __future__ import annotations

import json
import os
import secrets
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.live.cases import base
from tests.live.webui import STEPS, URL, Refused, call, job

pytestmark = pytest.mark.skipif(not URL, reason="STICKY_LIVE_URL names no WebUI")
ROUTE = "/sticky/v1/neglora"
TRAINS = bool(os.environ.get("STICKY_LIVE_TRAIN"))
WORDS = ("blurry", "ugly")


@pytest.fixture(scope="module")
def order() -> dict[str, Any]:
    side = base()["width"]
    return {
        "name": f"live-{secrets.token_hex(4)}", "words": ", ".join(WORDS), "cfg_from": 7, "cfg_to": 8, "steps": STEPS,
        "sampler": "Euler", "width": side, "height": side, "seed": 5, "negative": "dull",
    }  # fmt: skip


def ended(kind: str, job_id: str, seconds: float = 600) -> dict[str, Any]:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        found = call(f"{ROUTE}/{kind}/{job_id}")
        if found["state"] not in ("queued", "running"):
            return found
        time.sleep(1)
    raise AssertionError(f"still {found}")


def test_a_set_holds_the_pictures_that_the_page_makes(order: dict[str, Any]) -> None:
    found = ended("pictures", call(f"{ROUTE}/pictures", order)["id"])
    assert found["state"] == "done", found["message"]
    folder = Path(found["folder"])
    rows = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["pictures"]
    assert [(row["word"], row["cfg"], row["seed"]) for row in rows] == [
        ("blurry", 7, 5), ("blurry", 8, 6), ("ugly", 7, 7), ("ugly", 8, 8),
    ]  # fmt: skip
    row = rows[3]
    assert row["prompt"] == "blurry, (ugly:1.46)" and row["prompt"] in row["infotext"]
    payload = {
        **base(), "prompt": row["prompt"], "negative_prompt": "dull", "seed": 8, "cfg_scale": 8, "steps": STEPS,
        "sampler_name": "Euler",
    }  # fmt: skip
    own = np.asarray(Image.open(folder / row["file"]).convert("RGB"))
    assert np.array_equal(own, job(payload).pixels[0])
    assert Image.open(folder / "contact-sheet.png").width > own.shape[1]


def test_a_set_goes_on_where_it_was_cancelled(order: dict[str, Any]) -> None:
    other = {**order, "name": order["name"] + "-b", "count": 6}
    job_id = call(f"{ROUTE}/pictures", other)["id"]
    while call(f"{ROUTE}/pictures/{job_id}")["done"] < 2:
        time.sleep(0.2)
    with pytest.raises(Refused):
        call(f"{ROUTE}/pictures", {**other, "emphasis": "much"})
    cancelled = _delete(f"{ROUTE}/pictures/{job_id}")
    assert cancelled["state"] in ("running", "cancelled")
    stopped = ended("pictures", job_id)
    assert stopped["state"] == "cancelled" and 2 <= stopped["done"] < 24
    before = {path: path.stat().st_mtime_ns for path in Path(stopped["folder"]).rglob("*.png")}
    found = ended("pictures", call(f"{ROUTE}/pictures", other)["id"])
    assert found["state"] == "done" and found["done"] == 24
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())


@pytest.mark.skipif(TRAINS, reason="there is an environment here")
def test_without_an_environment_the_command_is_told(order: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"python run\.py neglora train"):
        call(f"{ROUTE}/train", {"set": order["name"]})


@pytest.mark.skipif(not TRAINS, reason="STICKY_LIVE_TRAIN is not set")
def test_a_lora_trained_beside_the_webui_acts_in_it(order: dict[str, Any]) -> None:
    body = {"set": order["name"], "name": order["name"], "steps": 40, "batch": 2, "rank": 4, "rate": 0.002}
    found = ended("programs", call(f"{ROUTE}/train", body)["id"])
    assert found["state"] == "done", found
    assert found["done"] == found["total"] == 40
    call("/sdapi/v1/refresh-loras", {})
    payload = {**base(), "prompt": "a cat", "negative_prompt": "wrong", "cfg_scale": 5, "steps": STEPS}
    plain = job(payload)
    ordinary = job({**payload, "prompt": f"a cat<lora:{order['name']}:1>"})
    negative = job({**payload, "negative_prompt": f"wrong<neglora:{order['name']}:1>"})
    assert f"{order['name']}: " in ordinary.infotexts[0]
    assert plain.raw[0] != ordinary.raw[0] != negative.raw[0] != plain.raw[0]
    everywhere = job({**payload, "prompt": f"a cat<lora:{order['name']}:1>", "cfg_scale": 0})
    only = job({**payload, "negative_prompt": f"wrong<neglora:{order['name']}:1>", "cfg_scale": 0})
    assert int(np.abs(everywhere.pixels[0].astype(int) - only.pixels[0].astype(int)).max()) <= 2


def _delete(path: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(URL + path, method="DELETE"), timeout=60) as answer:
        return json.loads(answer.read())
