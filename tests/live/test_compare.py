"""Comparisons on a real WebUI: over the API and by clicking in the panel, with progress, cancel and going on.

STICKY_LIVE_CHECKPOINT may name the checkpoint to use; STICKY_LIVE_SHOTS a folder for screenshots.
"""

from __future__ import annotations

import os
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_sticky.infotext import FEELS_KEY
from lib_sticky.lab.compare import Arm
from lib_sticky.lab.compare_tables import HEADLINE
from lib_sticky.lab.manifest import Manifest
from lib_sticky.lab.png import CHUNK
from tests.live.browser import Tab, browser, until, until_in
from tests.live.cases import base
from tests.live.webui import SIZE, STEPS, URL, Refused, call, job

CHECKPOINT = os.environ.get("STICKY_LIVE_CHECKPOINT", "")
SHOTS = os.environ.get("STICKY_LIVE_SHOTS", "")
SLOW = 900
ROUTE = "/sticky/v1/compare"
TERMS = "blurry, noisy"


def asked(**changed: Any) -> dict[str, Any]:
    chosen = {"override_settings": {"sd_model_checkpoint": CHECKPOINT}} if CHECKPOINT else {}
    return {
        "prompt": "a red heart on a white background", "steps": STEPS, "width": SIZE, "height": SIZE, "seed": 11,
        "sampler_name": "Euler", "seeds": 2, "cfg": [7], "sticky": {"terms": TERMS}, **chosen, **changed,
    }  # fmt: skip


def finished(job_id: str, wanted: str = "done") -> dict[str, Any]:
    give_up = time.monotonic() + SLOW
    while (state := call(f"{ROUTE}/{job_id}"))["state"] in ("queued", "running"):
        assert time.monotonic() < give_up, state
        time.sleep(0.3)
    assert state["state"] == wanted, state
    return state


def cancelled(job_id: str) -> None:
    request = urllib.request.Request(f"{URL}{ROUTE}/{job_id}", method="DELETE")
    urllib.request.urlopen(request, timeout=SLOW).close()


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("pictures/*/*.png")}


def fresh() -> str:
    """A prompt that nobody has compared before."""
    return f"a red heart on a white background {time.time_ns()}"


@pytest.fixture(scope="module")
def compared() -> dict[str, Any]:
    """A finished comparison; tests only read it."""
    return finished(call(ROUTE, asked(prompt=fresh()))["id"])


def key(arm: Arm, seed: int) -> str:
    return f"cfg7-{STEPS}steps-{SIZE}x{SIZE}/{arm.value}/{seed}"


def prompt_of(folder: Path) -> str:
    return str(Manifest(folder).entry(key(Arm.EMPTY, 11)).about["infotext"]).split("\n")[0]


def test_every_arm_has_every_seed_and_its_infotext(compared: dict[str, Any]) -> None:
    folder = Path(compared["folder"])
    manifest = Manifest(folder)
    assert compared["done"] == compared["pictures"] == 2 * len(Arm)
    for arm in Arm:
        for seed in (11, 12):
            entry = manifest.matching(key(arm, seed))
            assert entry is not None
            with Image.open(folder / entry.file) as picture:
                text = picture.info[CHUNK]
                assert picture.size == (SIZE, SIZE)
            assert f"Seed: {seed}" in text and ("Sticky: " in text) == (arm in (Arm.STICKY, Arm.PLACEBO))
            assert (f"Negative prompt: {TERMS}" in text) == (arm is Arm.TERMS)


def test_the_report_and_the_tables_are_there(compared: dict[str, Any]) -> None:
    folder = Path(compared["folder"])
    text = (folder / compared["report"]).read_text(encoding="utf-8")
    assert "No verdict" in text and "Alpha is" in text and "pushes as far as CFG" in text
    found = call(f"{ROUTE}/{compared['id']}/result")
    differences = found["tables"]["differences.csv"]
    assert {line["metric"] for line in differences} >= set(HEADLINE)
    assert {(line["arm"], line["reference"]) for line in differences} >= {("A2", "A0"), ("A2", "A3"), ("A2", "A4")}
    assert all(Path(path).is_file() for path in found["grids"])


def test_the_plain_arm_is_the_hosts_own_picture(compared: dict[str, Any]) -> None:
    folder = Path(compared["folder"])
    payload = asked(prompt=prompt_of(folder))
    plain = {name: value for name, value in payload.items() if name not in ("seeds", "cfg", "sticky")}
    for arm, sticky in ((Arm.EMPTY, None), (Arm.STICKY, {"enabled": True, "terms": TERMS})):
        entry = Manifest(folder).entry(key(arm, 11))
        alone = job({**base(), **plain, "negative_prompt": "", "cfg_scale": 7}, sticky).pixels[0]
        with Image.open(folder / entry.file) as picture:
            assert np.array_equal(np.asarray(picture.convert("RGB")), alone), arm


def test_the_next_job_is_untouched(compared: dict[str, Any]) -> None:
    del compared
    plain = {**base(), "prompt": "a cat"}
    before = job(plain)
    call(ROUTE, asked(seeds=1, prompt=fresh()))
    assert job(plain).raw == before.raw


def test_the_same_comparison_is_found_again(compared: dict[str, Any]) -> None:
    folder = Path(compared["folder"])
    before = pictures(folder)
    again = finished(call(ROUTE, asked(prompt=prompt_of(folder)))["id"])
    assert again["folder"] == compared["folder"] and again["report"] == compared["report"]
    assert pictures(folder) == before


def test_a_cancelled_comparison_keeps_its_pictures_and_goes_on() -> None:
    body = asked(prompt=fresh())
    first = call(ROUTE, body)["id"]
    until(lambda: call(f"{ROUTE}/{first}")["done"] >= 2, True, SLOW)
    cancelled(first)
    state = finished(first, "cancelled")
    assert "goes on" in state["message"] and not state["report"]
    kept = pictures(Path(state["folder"]))
    assert 2 <= len(kept) < 10
    second = finished(call(ROUTE, body)["id"])
    now = pictures(Path(state["folder"]))
    assert second["folder"] == state["folder"] and len(now) == 10
    assert all(now[name] == data for name, data in kept.items())


def test_a_queued_comparison_is_cancelled_at_once() -> None:
    first, second = (call(ROUTE, asked(prompt=fresh()))["id"] for _ in range(2))
    cancelled(second)
    assert call(f"{ROUTE}/{second}")["state"] == "cancelled"
    finished(first)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"prompt": " "}, "prompt"), ({"sticky": {"terms": ""}}, "terms"), ({"sticky": {"untitled": True}}, "untitled"),
        ({"seeds": 0}, "seeds"), ({"seeds": "many"}, "seeds"), ({"cfg": []}, "cfg"), ({"cfg": [1]}, "cfg"),
        ({"cfg": 7}, "cfg"), ({"cfg_scale": 7}, "cfg_scale"), ({"negative_prompt": "x"}, "negative_prompt"),
        ({"stepz": 3}, "steps"), ({"steps": "x"}, "steps"), ({"width": 63}, "width"),
        ({"checkpoints": [3]}, "checkpoints"),
        ({"sampler_name": "no such"}, "sampler_name"), ({"sticky": {"no such": 1}}, "no such"),
        ({"n_iter": 2}, "n_iter"),
    ],
)  # fmt: skip
def test_bad_input_names_the_field_before_anything_is_sampled(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused) as refused:
        call(ROUTE, asked(**changed))
    assert refused.value.status == 422 and field in refused.value.body


def test_a_checkpoint_that_is_not_there_is_named() -> None:
    state = finished(call(ROUTE, asked(checkpoints=["no such checkpoint"]))["id"], "failed")
    assert "no such checkpoint" in state["message"]


def test_one_field_of_txt2img_makes_the_grids() -> None:
    payload = {name: value for name, value in asked(prompt=fresh()).items() if name not in ("seeds", "cfg", "sticky")}
    answer = job({**base(), **payload}, {"terms": TERMS, "compare": {"seeds": 1, "cfg": [3, 7]}})
    assert len(answer.pixels) == 2 and all(pixels.shape[1] > 5 * SIZE for pixels in answer.pixels)
    with pytest.raises(Refused, match="422"):
        job({**base(), **payload}, {"compare": {"seeds": 0}})


@pytest.mark.parametrize("sampler", ["Euler", "DDIM"])
def test_the_filmstrip_stands_behind_the_pictures_and_changes_none(sampler: str) -> None:
    payload = {**base(), "prompt": "a cat", "sampler_name": sampler, "batch_size": 2}
    sticky = {"enabled": True, "terms": TERMS}
    plain, shown = job(payload, sticky), job(payload, {**sticky, "filmstrip": "fast"})
    pairs = zip(plain.pixels, shown.pixels, strict=False)
    assert len(shown.pixels) == len(plain.pixels) + 1 and all(np.array_equal(*pair) for pair in pairs)
    assert shown.pixels[-1].shape[0] > 4 * 128, "four rows of predictions"
    assert len(shown.infotexts) == len(shown.pixels) and '"filmstrip"' in shown.infotexts[0].replace("\\", "")


def test_the_vae_draws_the_filmstrip_larger() -> None:
    fast, vae = (job({**base(), "prompt": "a cat"}, {"filmstrip": how}).pixels[-1] for how in ("fast", "vae"))
    assert vae.size >= fast.size and not np.array_equal(fast, vae)


def test_the_scale_is_said() -> None:
    payload = {**base(), "prompt": "a cat", "cfg_scale": 20}
    sticky = {"enabled": True, "terms": TERMS}
    plain, said = job(payload, sticky), job(payload, {**sticky, "measure_scale": True})
    assert np.array_equal(plain.pixels[0], said.pixels[0])
    assert FEELS_KEY in said.infotexts[0] and FEELS_KEY not in plain.infotexts[0]
    nothing = job({**payload, "negative_prompt": ""}, {"measure_scale": True})
    assert f"{FEELS_KEY}: 20," in nothing.infotexts[0] + ","


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with browser() as chromium, chromium.page() as page:
        found = Tab(page)
        found.unfold()
        group = found.part("group_proof")
        group.locator(".label-wrap").first.click()
        found.part("compare").wait_for(state="visible")
        yield found


def said(tab: Tab) -> str:
    return tab.part("compare_said").inner_text()


def shot(tab: Tab, name: str) -> None:
    for theme in ("light", "dark") if SHOTS else ():
        tab.page.evaluate("theme => document.body.classList.toggle('dark', theme === 'dark')", theme)
        tab.part("group_proof").scroll_into_view_if_needed()
        tab.page.screenshot(path=str(Path(SHOTS) / f"compare-{name}-{theme}.png"))
    tab.page.evaluate("document.body.classList.remove('dark')")


def start(tab: Tab, prompt: str, seeds: int, cfg: str) -> None:
    tab.type({"prompt": prompt, "steps": STEPS, "width": SIZE, "height": SIZE, "seed": 11})
    number = tab.part("compare_seeds").locator("input[type=number]")
    number.fill(str(seeds))
    number.blur()
    box = tab.part("compare_cfg").locator("textarea, input").first
    box.fill(cfg)
    box.blur()
    tab.part("compare").click()


def test_a_bad_list_of_scales_is_said_and_nothing_begins(tab: Tab) -> None:
    start(tab, "a cat", 1, "7, high")
    until_in("no list of numbers", lambda: said(tab))


def test_the_panel_compares_cancels_and_goes_on(tab: Tab) -> None:
    prompt = fresh()
    start(tab, prompt, 2, "7")
    until(lambda: bool(re.search(r"picture [1-9] of 10", said(tab))), True, SLOW)
    tab.part("compare_cancel").click()
    shot(tab, "running")
    until_in("goes on", lambda: said(tab), SLOW)
    shot(tab, "cancelled")
    start(tab, prompt, 2, "7")
    until_in("Open the report", lambda: said(tab), SLOW)
    link = tab.part("compare_said").locator("a").get_attribute("href")
    answer = tab.page.request.get(f"{URL}/{link}")
    assert answer.ok and "same-seed comparison" in answer.text()
    gallery = tab.page.locator("#txt2img_gallery img").first
    gallery.wait_for(state="visible")
    shot(tab, "done")
    newest = call(ROUTE)[-1]
    assert len(pictures(Path(newest["folder"]))) == 10 and newest["state"] == "done"


def test_generate_makes_plain_pictures_afterwards(tab: Tab) -> None:
    before = len(call(ROUTE))
    pixels, text = tab.generate()
    assert pixels.shape == (SIZE, SIZE, 3) and "Steps:" in text
    assert len(call(ROUTE)) == before


def test_what_the_scale_feels_like_is_shown_in_the_panel(tab: Tab) -> None:
    tab.tick()
    tab.part("measure_scale").locator("input").check()
    _, text = tab.generate()
    assert FEELS_KEY in text
    until_in("Feels like CFG", lambda: tab.part("feels").inner_text())
    tab.part("measure_scale").locator("input").uncheck()


def test_the_filmstrip_is_shown_in_the_gallery(tab: Tab) -> None:
    tab.part("filmstrip").locator('input[value="fast"]').check()
    gallery = tab.page.locator("#txt2img_gallery")
    tab.generate()
    until(lambda: gallery.locator(".thumbnails img, .grid-container img").count() >= 2, True, 60)
    shot(tab, "filmstrip")
    tab.part("filmstrip").locator('input[value="off"]').check()
