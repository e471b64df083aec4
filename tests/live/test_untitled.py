"""Untitled runs on a running WebUI: over REST, and the tab in a real browser.

STICKY_LIVE_SIZE and STICKY_LIVE_STEPS are those of the pictures. With STICKY_LIVE_SHOTS, a folder, pictures of the tab
are left there in both themes.
"""

from __future__ import annotations

import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_sticky.lab.likeness import identity
from lib_sticky.presets import UNTITLED
from tests.live.browser import Tab, browser, open_tab, until, until_in
from tests.live.webui import SIZE, STEPS, URL, Refused, call, job

ROUTE = "/sticky/v1/untitled"
SLOW = 600
"""Seconds for a handful of pictures on a busy machine."""
SHOTS = os.environ.get("STICKY_LIVE_SHOTS", "")
SMALL = {"steps": STEPS, "width": SIZE, "height": SIZE, "sampler": "Euler"}


def started(**changes: Any) -> str:
    return call(ROUTE, {"presets": ["U1", "U3"], "seeds": 3, "seed": 7, **SMALL, **changes})["id"]


def ended(run_id: str) -> dict[str, Any]:
    give_up = time.monotonic() + SLOW
    while state(run_id) in ("queued", "running"):
        assert time.monotonic() < give_up, "the run does not end"
        time.sleep(0.5)
    return call(f"{ROUTE}/{run_id}")


def state(run_id: str) -> str:
    return next(run["state"] for run in call(ROUTE) if run["id"] == run_id)


def delete(run_id: str) -> None:
    request = urllib.request.Request(f"{URL}{ROUTE}/{run_id}", method="DELETE")
    urllib.request.urlopen(request, timeout=SLOW).close()


def by_txt2img(preset: str, seed: int) -> np.ndarray:
    payload = {
        "prompt": "", "negative_prompt": "", "seed": seed, "steps": STEPS, "width": SIZE, "height": SIZE,
        "sampler_name": "Euler", "cfg_scale": 3, "save_images": False,
    }  # fmt: skip
    fields = {"untitled": True, **{n: v for n, v in vars(UNTITLED[preset]).items() if n != "enabled"}}
    return job(payload, fields).pixels[0]


def test_a_run_makes_what_txt2img_makes() -> None:
    run = ended(started())
    assert (run["state"], run["made"]) == ("done", 6), run["message"]
    assert run["model_hash"] or run["model"]
    found = {(each["preset"], each["seed"]): each for each in run["pictures"]}
    assert sorted(found) == [(preset, seed) for preset in ("U1", "U3") for seed in (7, 8, 9)]
    for preset in ("U1", "U3"):
        pixels = by_txt2img(preset, 8)
        assert found[preset, 8]["sha256"] == identity(Image.fromarray(pixels)), preset
        assert "Sticky" in found[preset, 8]["infotext"] and "Seed: 8" in found[preset, 8]["infotext"]
    with urllib.request.urlopen(
        f"{URL}{ROUTE}/{run['id']}/pictures/{found['U1', 8]['sha256']}", timeout=SLOW
    ) as answer:
        assert np.array_equal(np.asarray(Image.open(answer).convert("RGB")), by_txt2img("U1", 8))


def test_other_jobs_take_their_turn_and_are_not_changed() -> None:
    alone = by_txt2img("U1", 3)
    run_id = started(seeds=40)
    assert np.array_equal(by_txt2img("U1", 3), alone)
    assert state(run_id) == "running", "the run was over before another job had its turn"
    delete(run_id)
    assert ended(run_id)["state"] == "cancelled"


def test_cancel_and_the_hosts_own_interrupt_end_a_run() -> None:
    for stop in (delete, lambda _: call("/sdapi/v1/interrupt", {})):
        run_id = started(seeds=64, steps=100)
        until(lambda: call("/sdapi/v1/progress")["state"]["sampling_step"] > 1, True, SLOW)
        stop(run_id)
        run = ended(run_id)
        assert run["state"] == "cancelled"
        assert run["made"] < 128
        assert all(each["infotext"] for each in run["pictures"])
    assert ended(started(presets=["U1"], seeds=1))["state"] == "done"


def test_votes_are_stored_and_withdrawn() -> None:
    run = ended(started(presets=["U1"], seeds=2, seed=int(time.time())))
    first = run["pictures"][0]["sha256"]
    told = call(f"{ROUTE}/{run['id']}/vote", {"sha256": first, "keep": True})
    assert told["results"][0]["voted"]["kept"] == 1
    with urllib.request.urlopen(f"{URL}{ROUTE}/votes", timeout=SLOW) as answer:
        assert first in answer.read().decode()
    told = call(f"{ROUTE}/{run['id']}/vote", {"sha256": first, "keep": None})
    assert told["results"][0]["voted"]["votes"] == 0
    with urllib.request.urlopen(f"{URL}{ROUTE}/{run['id']}/report", timeout=SLOW) as answer:
        assert "asked for nothing" in answer.read().decode()


def test_bad_input_names_the_field() -> None:
    for body, field in (({"sampler": "Magic"}, "sampler"), ({"presets": ["U9"]}, "presets"), ({"steps": 0}, "steps")):
        with pytest.raises(Refused, match="422") as refused:
            call(ROUTE, body)
        assert f"Sticky: {field}" in refused.value.body


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with browser() as running, running.page("light", height=1300) as opened:
        opened.set_default_timeout(300_000)
        yield opened


def part(page: Any, name: str) -> Any:
    return page.locator(f"#sticky_untitled_{name}").first


def number(page: Any, name: str, value: Any) -> None:
    field = part(page, name).locator("input[type=number]").first
    field.fill(str(value))
    field.blur()


def shot(page: Any, name: str) -> None:
    for theme in ("light", "dark") if SHOTS else ():
        page.evaluate("theme => document.body.classList.toggle('dark', theme === 'dark')", theme)
        page.screenshot(path=str(Path(SHOTS) / f"untitled-{name}-{theme}.png"))
    page.evaluate("document.body.classList.remove('dark')")


def blurred(page: Any) -> int:
    return page.evaluate(
        "[...document.querySelectorAll('#sticky_untitled_gallery .sticky-veil img')]"
        ".filter(i => getComputedStyle(i).filter.includes('blur')).length"
    )


def test_the_tab_makes_votes_and_sends(page: Any) -> None:
    typed = Tab(page)
    typed.type({"prompt": "my own words", "neg_prompt": "not these", "seed": 1})
    open_tab(page, "Untitled")
    part(page, "presets").get_by_label("U1", exact=True).check()
    for name, value in (("steps", STEPS), ("width", SIZE), ("height", SIZE), ("seeds", 4), ("seed", 21), ("batch", 2)):
        number(page, name, value)
    part(page, "start").click()
    until_in("8 of 8 pictures in", part(page, "queue").inner_text, SLOW)
    figures = part(page, "gallery").locator("figure")
    until(figures.count, 8, SLOW)
    until(lambda: blurred(page), 8)
    shot(page, "blurred")

    figures.nth(0).locator(".sticky-veil").click()
    until_in("entropy", part(page, "one").inner_text)
    until(lambda: blurred(page), 7)
    figures.nth(0).locator("[data-vote=keep]").click()
    figures.nth(1).locator("[data-vote=reject]").click()
    figures.nth(5).locator("[data-vote=keep]").click()
    until_in("1 of 2", part(page, "tables").inner_text)
    until_in("1 of 1", part(page, "tables").inner_text)
    figures.nth(1).locator("[data-vote=reject]").click()
    until_in("1 of 1", part(page, "tables").locator("tr").nth(1).inner_text)
    part(page, "show").click()
    until(lambda: part(page, "gallery").locator("[data-vote=keep][aria-pressed=true]").count(), 2)
    until(lambda: blurred(page), 7)
    part(page, "blur").locator("input").click()
    until(lambda: blurred(page), 0)
    shot(page, "votes")

    seed = figures.nth(0).get_attribute("data-name").split("/")[1]
    for button, hires in (("send", False), ("send_hires", True)):
        part(page, button).click()
        until(typed.core("seed").input_value, seed)
        page.locator("#tab_txt2img").wait_for(state="visible")
        until(page.locator("#txt2img_hr-visible-checkbox").is_checked, hires)
        assert typed.core("prompt").input_value() == "my own words"
        assert typed.core("neg_prompt").input_value() == "not these"
        assert page.locator("#script_txt2img_sticky_untitled input").first.is_checked()
        typed.type({"seed": 1})
        open_tab(page, "Untitled")


def test_the_report_and_the_votes_are_saved_from_the_page(page: Any) -> None:
    part(page, "report").click()
    until_in("Written to", part(page, "reported").inner_text, SLOW)
    with page.expect_download() as saving:
        part(page, "reported").locator("a").click()
    text = Path(saving.value.path()).read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") == 8
    part(page, "votes").locator(".label-wrap").click()
    part(page, "overall").click()
    until_in("U1", part(page, "counted").inner_text)
    part(page, "export").click()
    with page.expect_download() as saving:
        part(page, "counted").locator("a").click()
    assert Path(saving.value.path()).read_text(encoding="utf-8").startswith("sha256,model,")
    shot(page, "saved")


def test_the_tab_says_what_it_cannot_use_and_cancels(page: Any) -> None:
    number(page, "seeds", 64)
    number(page, "steps", 100)
    part(page, "start").click()
    until_in("of 128 pictures", part(page, "queue").inner_text, SLOW)
    part(page, "cancel").click()
    until_in(": cancelled", part(page, "queue").inner_text, SLOW)
    part(page, "presets").get_by_label("U1", exact=True).uncheck()
    part(page, "presets").get_by_label("U3", exact=True).uncheck()
    part(page, "start").click()
    until_in("choose at least one", part(page, "said").inner_text)


def test_two_clients_vote_at_once() -> None:
    run = ended(started(presets=["U1"], seeds=6, seed=900))
    names = [each["sha256"] for each in run["pictures"]]
    votes = [
        threading.Thread(target=call, args=(f"{ROUTE}/{run['id']}/vote", {"sha256": name, "keep": True}))
        for name in names
    ]
    for each in votes:
        each.start()
    for each in votes:
        each.join(SLOW)
    assert ended(run["id"])["results"][0]["voted"]["kept"] == 6
