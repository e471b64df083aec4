"""A running WebUI's page in headless Chromium, and the extension's panel on it. Needs playwright and a Chromium."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live.webui import URL, decoded

CHROMIUM = os.environ.get("STICKY_LIVE_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
WAIT = 300_000
"""Milliseconds that a host on a slow machine may take for anything but a picture."""
PREFIX = "script_{}_sticky_"


class Browser:
    """One Chromium for many pages; skips the tests that use it where there is none."""

    def __init__(self, playwright: Any) -> None:
        if CHROMIUM is None:
            pytest.skip("needs Chromium: set STICKY_LIVE_CHROMIUM to its executable")
        self.chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

    @contextmanager
    def page(self, theme: str = "light", width: int = 1400, height: int = 1100) -> Iterator[Any]:
        """The host's page, loaded; what the console says of errors gathers in `page.errors`."""
        context = self.chromium.new_context(viewport={"width": width, "height": height})
        # The page links fonts elsewhere: refused at once, so that nothing waits for a network.
        context.route("**/*", lambda route: route.continue_() if _ours(route.request.url) else route.abort())
        page = context.new_page()
        page.errors = []
        page.on("console", lambda said: page.errors.append(said.text) if _is_error(said) else None)
        page.on("pageerror", lambda error: None if _is_hosts_own(error) else page.errors.append(str(error)))
        page.goto(f"{URL}/?__theme={theme}", wait_until="domcontentloaded", timeout=WAIT)
        loaded(page)
        yield page
        context.close()


def _ours(url: str) -> bool:
    return url.startswith((URL, "data:", "blob:"))


HOSTS_OWN = ("Cannot read properties of undefined (reading 'props')", "AbortError: signal is aborted without reason")
"""What Gradio says at times by itself: 3.41 after Generate, on an A1111 without this extension too; 4.40 where its
client aborts its own stream of answers after the last of them (`close_stream`)."""


def _is_error(said: Any) -> bool:
    return said.type == "error" and "ERR_FAILED" not in said.text


def _is_hosts_own(error: Any) -> bool:
    return any(said in str(error) for said in HOSTS_OWN)


@contextmanager
def browser() -> Iterator[Browser]:
    """Starts Chromium; skips where playwright is not installed."""
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = Browser(playwright)
        yield started
        started.chromium.close()


def loaded(page: Any) -> None:
    """Wait until the host's own scripts have made the accordions tickable."""
    page.wait_for_selector("#txt2img_prompt textarea", state="visible", timeout=WAIT)
    page.wait_for_selector(f"#{PREFIX.format('img2img')}enabled-visible-checkbox", state="attached", timeout=WAIT)


def until(value: Callable[[], Any], wanted: Any, seconds: float = 30) -> None:
    """Wait until `value()` equals `wanted`, or fail showing both."""
    _wait(value, lambda found: found == wanted, wanted, seconds)


def until_in(words: str, value: Callable[[], str], seconds: float = 30) -> None:
    """Wait until `value()` contains `words`, or fail showing both."""
    _wait(value, lambda found: words in found, words, seconds)


def _wait(value: Callable[[], Any], good: Callable[[Any], bool], wanted: Any, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not good(found := value()):
        assert time.monotonic() < give_up, f"still {found!r}, not {wanted!r}"
        time.sleep(0.1)


def open_tab(page: Any, name: str) -> None:
    page.locator("#tabs > .tab-nav button").filter(has_text=name).first.click()


class Tab:
    """txt2img or img2img with the panel in it."""

    def __init__(self, page: Any, name: str = "txt2img") -> None:
        self.page = page
        self.name = name

    def part(self, name: str) -> Any:
        """A part of the extension's panel by the end of its elem_id."""
        return self.page.locator(
            f"#{PREFIX.format(self.name)}{name}"
        ).first  # Gradio 3 gives HTML blocks their id twice.

    def core(self, name: str) -> Any:
        """The input of one of the host's own components."""
        return self.page.locator(f"#{self.name}_{name}").locator("textarea, input:not([type=range])").first

    def tick(self, on: bool = True) -> None:
        """Unfold the panel and bring its box to `on`; unfolding ticks it, until the box itself is clicked."""
        self.unfold()
        box = self.part("enabled-visible-checkbox")
        if box.is_checked() != on:
            box.click()
        until(box.is_checked, on)

    def unfold(self, title: str = "enabled", inside: str = "terms") -> None:
        """Click a part's title if it is folded, and wait for what is inside."""
        head = self.part(title).locator(".label-wrap").first
        if "open" not in (head.get_attribute("class") or "").split():
            head.click()
            self.part(inside).wait_for(state="visible")

    def type(self, values: dict[str, Any]) -> None:
        """Fill the host's own inputs."""
        for name, value in values.items():
            field = self.core(name)
            field.fill(str(value))
            field.blur()

    def set(self, values: dict[str, Any]) -> None:
        """Fill the panel's fields."""
        self.unfold()
        for name, value in values.items():
            if name == "enabled":
                self.tick(value)
            elif name in ("placement", "hires"):
                self.part(name).locator(f'input[value="{value}"]').check()
            else:
                field = self.part(name).locator("textarea, input[type=number]")
                field.fill(str(value))
                field.blur()

    def technique(self, group: str, name: str, value: float | bool) -> None:
        """Set a field of one of the groups below the panel, whose names are the ends of their elem_ids."""
        self.unfold(f"group_{group}", name)
        if isinstance(value, bool):
            self.part(name).locator("input").set_checked(value)
        else:
            field = self.part(name).locator("input[type=number]")
            field.fill(str(value))
            field.blur()

    def fields(self) -> dict[str, Any]:
        """What the panel shows, as a dict that the API takes."""
        return {
            "enabled": self.part("enabled-visible-checkbox").is_checked(),
            "terms": self.part("terms").locator("textarea").input_value(),
            "placement": self._chosen("placement"),
            "start": float(self.part("start").locator("input[type=number]").input_value()),
            "stop": float(self.part("stop").locator("input[type=number]").input_value()),
            "hires": self._chosen("hires"),
        }

    def _chosen(self, name: str) -> str:
        return self.part(name).locator("input:checked").input_value()

    def preview(self) -> str:
        return self.part("preview").inner_text()

    def name_preset(self, name: str) -> None:
        """Type a name that is not listed yet."""
        field = self.part("preset").locator("input")
        field.fill(name)
        field.press("Enter")
        field.blur()

    def pick_preset(self, name: str) -> None:
        """Choose a listed preset."""
        self.part("preset").locator("input").click()
        self.page.locator(f'ul.options li[aria-label="{name}"]').click()
        until(self.part("preset").locator("input").input_value, name)

    def generate(self, seconds: float = 300) -> tuple[np.ndarray, str]:
        """Click Generate; the picture's pixels and the infotext under the gallery."""
        gallery, info = self.page.locator(f"#{self.name}_gallery"), self.page.locator(f"#html_info_{self.name}").first
        before = self._source(gallery)
        self.page.locator(f"#{self.name}_generate").click()
        give_up = time.monotonic() + seconds
        while self._source(gallery) in (None, before) or not info.inner_text().strip():
            assert time.monotonic() < give_up, "no picture came"
            time.sleep(0.2)
        picture = self.page.request.get(self._source(gallery)).body()
        return decoded(base64.b64encode(picture).decode()), info.inner_text()

    @staticmethod
    def _source(gallery: Any) -> str | None:
        # The preview of a picture in the making is an img of the gallery too, with its bytes in its address.
        pictures = "img[data-testid=detailed-image], button img, img:not([src^='data:'])"
        return gallery.evaluate("(g, pictures) => g.querySelector(pictures)?.src ?? null", pictures)


def send(page: Any, picture: str, tab: str, prompt: str) -> Tab:
    """Load a picture (base64) in the PNG Info tab, send it to `tab`, and wait for its prompt there."""
    open_tab(page, "PNG Info")
    info = page.locator("#tab_pnginfo")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        path.write_bytes(base64.b64decode(picture))
        clear = info.locator("button[aria-label=Clear], button[aria-label='Remove Image']")
        if clear.count():
            clear.first.click()
        info.locator("#pnginfo_image input[type=file]").first.set_input_files(str(path))
        until_in(prompt, info.inner_text)
    info.locator(f"#{tab}_tab").click()
    found = Tab(page, tab)
    until(lambda: found.core("prompt").input_value(), prompt)
    return found
