"""The merge tab in a real browser on a running WebUI: plan, merge, sample, try, save, cancel, and the routes.

STICKY_LIVE_MERGE names two checkpoints of one layout inside the WebUI's model folder, apart by a space. With
STICKY_LIVE_SHOTS, a folder, pictures of the tab are left there in both themes.
"""

from __future__ import annotations

import os
import secrets
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live.browser import Browser, browser, open_tab, until, until_in
from tests.live.cases import base
from tests.live.webui import MERGE, SIZE, STEPS, URL, Refused, call, job

SHOTS = os.environ.get("STICKY_LIVE_SHOTS", "")
SLOW = 300
"""Seconds for a merge of full-size files on a busy machine."""
QUICK = 6
"""Seconds in which a small merge may be over between two looks at it."""

pytestmark = pytest.mark.skipif(len(MERGE) != 2, reason="names two checkpoints: STICKY_LIVE_MERGE='a b'")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Any]:
    with chromium.page("light", height=1000) as opened:
        opened.set_default_timeout(300_000)
        open_tab(opened, "Sticky merge")
        for name in MERGE:  # The lists are asked for anew as the tab opens; what was typed before does not find them.
            until(lambda name=name: name in "".join(choices(opened, "models")), True, 60)
        for name in MERGE:
            pick(opened, "models", name)
        yield opened


def part(page: Any, name: str) -> Any:
    return page.locator(f"#sticky_merge_{name}").first


def pick(page: Any, field: str, name: str) -> None:
    """Type into a dropdown and choose the first entry that is left."""
    box = part(page, field).locator("input").first
    box.click()
    box.fill(name)
    part(page, field).locator("ul.options li").filter(has_text=name).first.dispatch_event("mousedown")
    box.blur()


def name_output(page: Any, name: str) -> str:
    box = part(page, "name").locator("textarea, input").first
    box.fill(name)
    box.blur()
    return name


def press(page: Any, button: str) -> None:
    part(page, button).click()


def told_of(page: Any, name: str) -> str:
    """What the queue says of one merge; empty before it is there."""
    return "".join(part(page, "queue").locator(".sticky-job").filter(has_text=name).all_inner_texts())


def half(*names: str) -> dict[str, Any]:
    """The recipe of the 50% rule."""
    return {"schema": 1, "root": {"merge": "weighted_sum", "inputs": [f"{name}.safetensors" for name in names]}}


def titles() -> list[str]:
    return [model["title"] for model in call("/sdapi/v1/sd-models")]


def shot(page: Any, name: str) -> None:
    for theme in ("light", "dark") if SHOTS else ():
        page.evaluate("theme => document.body.classList.toggle('dark', theme === 'dark')", theme)
        page.screenshot(path=str(Path(SHOTS) / f"merge-{name}-{theme}.png"))
    page.evaluate("document.body.classList.remove('dark')")


def sampled(checkpoint: str | None) -> np.ndarray:
    override = {"override_settings": {"sd_model_checkpoint": checkpoint}} if checkpoint else {}
    small = {"steps": STEPS, "width": SIZE, "height": SIZE, "seed": 7, "prompt": "a cat"}
    return job({**base(), **small, **override}).pixels[0]


def test_plan_then_merge_then_the_file_is_listed_and_samples(page: Any) -> None:
    name = name_output(page, f"live-{secrets.token_hex(3)}")
    press(page, "plan_button")
    until_in("Ready to merge", part(page, "plan").inner_text, SLOW)
    assert f"{name}.safetensors" in part(page, "plan").inner_text()
    shot(page, "plan")
    press(page, "merge_button")
    began, progress = time.monotonic(), list[str]()

    def told() -> str:
        text = told_of(page, name)
        if " left" in text and not progress:
            progress.append(text)
            shot(page, "progress")
        return text

    until_in("it is in the list of checkpoints", told, SLOW)
    assert progress or time.monotonic() - began < QUICK, "no progress was shown"
    assert any(title.startswith(name) for title in titles())
    until(lambda: name in "".join(choices(page, "base")), True, SLOW)
    shot(page, "done")
    pictures = [sampled(each) for each in (f"{MERGE[0]}.safetensors", f"{name}.safetensors")]
    assert np.ptp(pictures[1]) > 0
    assert not np.array_equal(*pictures)


def choices(page: Any, field: str) -> list[str]:
    """What a dropdown offers now."""
    box = part(page, field).locator("input").first
    box.click()
    found = part(page, field).locator("ul.options li").all_inner_texts()
    box.press("Escape")
    box.blur()
    return found


def test_a_merge_is_tried_unsaved_and_then_saved(page: Any) -> None:
    name = name_output(page, f"tried-{secrets.token_hex(3)}")
    press(page, "try_button")
    until_in("loaded; not saved", lambda: told_of(page, name), SLOW)
    assert not any(title.startswith(name) for title in titles())
    tried = sampled(None)
    press(page, "save_button")
    until_in(f"Saved as {name}.safetensors", part(page, "plan").inner_text, SLOW)
    assert any(title.startswith(name) for title in titles())
    assert np.array_equal(sampled(None), tried)
    shot(page, "saved")


def test_cancel_in_mid_merge_leaves_no_file(page: Any) -> None:
    name = name_output(page, f"stopped-{secrets.token_hex(3)}")
    pick(page, "method", "DELLA")  # Slow enough to be met in its middle.
    pick(page, "base", MERGE[0])
    press(page, "merge_button")
    began = time.monotonic()
    until(lambda: any(word in told_of(page, name) for word in (" left", "it is in the list")), True, SLOW)
    if " left" not in told_of(page, name):
        pytest.skip("the merge was over before it could be cancelled: name larger checkpoints")
    shot(page, "cancel")
    press(page, "cancel")
    until(lambda: any(word in told_of(page, name) for word in ("cancelled", "it is in the list")), True, SLOW)
    if "cancelled" not in told_of(page, name):
        assert time.monotonic() - began < QUICK, "it went on to its end"
        pytest.skip("the merge was over before the cancel came: name larger checkpoints")
    with pytest.raises(Refused, match="422") as refused:
        call("/sticky/v1/merge/plan", {"recipe": half(name, MERGE[1]), "name": "never"})
    assert f"{name}.safetensors" in refused.value.body


def test_a_file_that_came_after_the_start_is_offered_on_a_page_that_is_loaded_then(chromium: Browser) -> None:
    name = f"later-{secrets.token_hex(3)}"
    id_ = call("/sticky/v1/merge", {"recipe": half(*MERGE), "name": name})["id"]
    until(lambda: call(f"/sticky/v1/merge/{id_}")["state"], "done", SLOW)
    with chromium.page() as opened:
        open_tab(opened, "Sticky merge")
        until(lambda: name in "".join(choices(opened, "base")), True, 60)


def test_the_routes_plan_merge_and_refuse() -> None:
    recipe = half(*MERGE)
    name = f"route-{secrets.token_hex(3)}"
    body = {"recipe": recipe, "name": name}
    assert call("/sticky/v1/merge/plan", body)["ready"]
    first, second = (call("/sticky/v1/merge", {**body, "name": f"{name}-{n}"})["id"] for n in (1, 2))
    assert call(f"/sticky/v1/merge/{second}")["state"] in ("queued", "running")
    request = urllib.request.Request(f"{URL}/sticky/v1/merge/{second}", method="DELETE")
    urllib.request.urlopen(request, timeout=SLOW).close()
    until(lambda: call(f"/sticky/v1/merge/{first}")["state"], "done", SLOW)
    until(lambda: call(f"/sticky/v1/merge/{second}")["state"], "cancelled", SLOW)
    assert any(title.startswith(f"{name}-1") for title in titles())
    for wrong in ("/etc/passwd", "../config", "..\\config"):
        with pytest.raises(Refused, match="422") as refused:
            call("/sticky/v1/merge", {"recipe": {"schema": 1, "root": wrong}, "name": name})
        assert "refused" in refused.value.body
    with pytest.raises(Refused, match="Sticky: name"):
        call("/sticky/v1/merge", {"recipe": recipe, "name": "../out"})
