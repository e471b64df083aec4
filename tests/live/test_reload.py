"""Reload UI, through the page, leaves one of everything (must-hold 7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.browser import WAIT, Browser, browser, loaded, open_tab
from tests.live.cases import cases
from tests.live.matrix import answering, verdict
from tests.live.test_trace import PLAIN
from tests.live.webui import Answer, call, job


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def before_reload(chromium: Browser) -> Answer:
    """A plain job's answer from before; the UI is reloaded when this returns."""
    before = job(PLAIN)
    with chromium.page() as page:
        reload_ui(page)
    answering()
    return before


def reload_ui(page: Any) -> None:
    """Click Settings, Reload UI, and wait for the page that the host's script opens afterwards."""
    open_tab(page, "Settings")
    page.evaluate("window.fromBeforeReload = true")
    page.locator("#settings_restart_gradio").click()
    page.wait_for_function("window.fromBeforeReload === undefined", timeout=WAIT)
    loaded(page)


@pytest.mark.usefixtures("before_reload")
def test_the_axes_are_listed_once() -> None:
    script = next(found for found in call("/sdapi/v1/script-info") if found["name"] == "x/y/z plot")
    ours = [label for label in script["args"][0]["choices"] if label.startswith("[Sticky]")]
    assert len(ours) == len(set(ours)) == len(call("/sticky/v1/schema")["properties"])


@pytest.mark.usefixtures("before_reload")
def test_the_script_is_listed_once_a_tab() -> None:
    ours = [found for found in call("/sdapi/v1/script-info") if found["name"] == "sticky"]
    assert sorted(found["is_img2img"] for found in ours) == [False, True]


@pytest.mark.usefixtures("before_reload")
@pytest.mark.parametrize("name", ["plain", "own negative", "own chunk", "hires fix"])
def test_ticked_still_equals_by_hand(name: str) -> None:
    assert verdict(next(case for case in cases() if case.name == name)) == "identical"


def test_off_still_equals_before(before_reload: Answer) -> None:
    after = job(PLAIN)
    assert after.raw == before_reload.raw
    assert after.infotexts == before_reload.infotexts
