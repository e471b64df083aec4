"""The panel in a real browser: what it shows is what is used, and what a picture tells is what it shows again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.live.browser import Browser, Tab, browser, open_tab, send, until, until_in
from tests.live.cases import STICKY, base
from tests.live.webui import SIZE, STEPS, call, job

EVERYTHING = {
    "enabled": True,
    "terms": 'a "quoted", \\ back: <x>\n(y:1.2)',
    "placement": "own chunk",
    "start": 0.25,
    "stop": 0.75,
    "hires": "off",
}
SMALL = {"steps": STEPS, "width": SIZE, "height": SIZE, "cfg_scale": 9, "seed": 7}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module", params=["light", "dark"])
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Any]:
    """One page for all tests of a theme, since loading it is most of the time; every test sets what it needs."""
    with chromium.page(request.param) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_console_errors(page: Any) -> Iterator[None]:
    page.errors.clear()
    yield
    assert page.errors == []


@pytest.fixture(params=["txt2img", "img2img"])
def tab(page: Any, request: pytest.FixtureRequest) -> Tab:
    """Either tab, its panel open and ticked."""
    return _ticked(page, request.param)


def _ticked(page: Any, name: str = "txt2img") -> Tab:
    open_tab(page, name)
    found = Tab(page, name)
    found.tick()
    found.set({"terms": STICKY["terms"], "placement": "same chunk", "start": 0, "stop": 1, "hires": "same"})
    return found


def _api_payload(shown: Tab, prompt: str, negative: str = "") -> dict[str, Any]:
    """What the page would send besides the panel: the sampler and scheduler stay as it shows them."""
    names = {"sampler_name": shown.core("sampling").input_value(), "scheduler": shown.core("scheduler").input_value()}
    return {**base(), **SMALL, **names, "prompt": prompt, "negative_prompt": negative}


def test_the_preview_shows_the_negative_that_is_used(tab: Tab) -> None:
    tab.type({"prompt": "a (red:1.3) cat", "neg_prompt": "ugly", "cfg_scale": 7})
    until_in("a (red:1.3) cat, ugly, blurry, (bad:1.2)", tab.preview)
    until_in("in 1 chunk of 75", tab.preview)
    assert "CFG is 1" not in tab.preview()
    tab.set({"placement": "own chunk"})
    until_in("a (red:1.3) cat BREAK ugly, blurry, (bad:1.2)", tab.preview)
    until_in("in 2 chunks of 75", tab.preview)
    tab.set({"start": 0.25})
    until_in("BREAK ugly[:, blurry, (bad:1.2):0.25]", tab.preview)


def test_the_preview_warns_at_cfg_1_and_of_an_empty_prompt(tab: Tab) -> None:
    tab.type({"prompt": "a cat", "cfg_scale": 1})
    until_in("CFG is 1", tab.preview)
    tab.type({"prompt": "", "cfg_scale": 7})
    until_in("nothing to track", tab.preview)
    until(lambda: "CFG is 1" in tab.preview(), False)


def test_the_preview_says_so_while_the_box_is_not_ticked(tab: Tab) -> None:
    tab.type({"prompt": "a cat"})
    until_in("Negative that will be used", tab.preview)
    tab.tick(False)
    until_in("would be used", tab.preview)


def test_a_packs_terms_are_added_once(tab: Tab) -> None:
    tab.set({"terms": "my own"})
    pack = call("/sticky/v1/packs")["general"]
    for _ in range(2):
        tab.part("pack_add").click()
        until(lambda: tab.fields()["terms"], f"my own, {pack}")
        tab.page.wait_for_timeout(500)


def test_a_preset_sets_every_field_and_can_be_saved_and_deleted(tab: Tab) -> None:
    name = f"browser test {tab.name}"
    tab.set(EVERYTHING)
    tab.name_preset(name)
    tab.part("preset_save").click()
    until(lambda: tab.part("preset_said").inner_text().strip(), f"Saved '{name}'.")
    tab.pick_preset("Sticky")
    tab.part("preset_apply").click()
    until(lambda: tab.fields()["placement"], "same chunk")
    assert tab.fields() != EVERYTHING
    tab.pick_preset(name)
    tab.part("preset_apply").click()
    until(tab.fields, EVERYTHING)
    tab.part("preset_delete").click()
    until(lambda: tab.part("preset_said").inner_text().strip(), f"Deleted '{name}'.")
    tab.part("preset_apply").click()
    until_in("there is no preset named", tab.part("preset_said").inner_text)


def test_cfg_20_sets_both_sliders_for_the_job(page: Any) -> None:
    tab = _ticked(page)
    tab.type({**SMALL, "prompt": "a cat"})
    tab.part("cfg20").click()
    until(lambda: (tab.core("cfg_scale").input_value(), tab.core("steps").input_value()), ("20", "28"))
    _, infotext = tab.generate()
    assert "Steps: 28," in infotext
    assert "CFG scale: 20," in infotext


def test_a_click_on_generate_gives_the_pixels_of_the_api_call(page: Any) -> None:
    tab = _ticked(page)
    tab.type({**SMALL, "prompt": "a cat", "neg_prompt": "ugly"})
    tab.set({"placement": "own chunk", "start": 0.25})
    clicked, infotext = tab.generate()
    payload = _api_payload(tab, "a cat", "ugly")
    assert np.array_equal(clicked, job(payload, tab.fields()).pixels[0])
    assert not np.array_equal(clicked, job(payload).pixels[0])
    assert '"placement":"own chunk"' in infotext.replace("\\", "")


def test_the_box_unticked_gives_the_pixels_of_a_plain_call(page: Any) -> None:
    tab = _ticked(page)
    tab.type({**SMALL, "prompt": "a cat", "neg_prompt": "ugly"})
    tab.tick(False)
    clicked, infotext = tab.generate()
    assert np.array_equal(clicked, job(_api_payload(tab, "a cat", "ugly")).pixels[0])
    assert "Sticky" not in infotext


def test_expand_writes_the_negative_into_the_box_turns_itself_off_and_keeps_the_picture(page: Any) -> None:
    tab = _ticked(page)
    tab.type({**SMALL, "prompt": "a cat", "neg_prompt": "ugly"})
    tab.set({"placement": "own chunk", "start": 0.25})
    ticked, _ = tab.generate()
    tab.part("expand").click()
    until_in("Sticky is off", tab.part("expand_said").inner_text)
    assert tab.core("neg_prompt").input_value() == "a cat BREAK ugly[:, blurry, (bad:1.2):0.25]"
    until(lambda: tab.fields()["enabled"], False)
    typed, infotext = tab.generate()
    assert np.array_equal(typed, ticked)
    assert "Sticky" not in infotext


@pytest.mark.parametrize("name", ["txt2img", "img2img"])
def test_a_pictures_infotext_restores_the_panel_and_one_without_the_key_unticks_it(page: Any, name: str) -> None:
    payload = {**base(), "prompt": "a cat", "negative_prompt": "ugly"}
    made, plain = job(payload, EVERYTHING), job({**payload, "prompt": "a dog"})
    tab = send(page, made.raw[0], name, "a cat")
    until(tab.fields, EVERYTHING)
    assert tab.core("neg_prompt").input_value() == "ugly"
    send(page, plain.raw[0], name, "a dog")
    until(tab.fields, {**EVERYTHING, "enabled": False})


def test_generate_after_sending_a_picture_makes_it_again(page: Any) -> None:
    made = job({**base(), "prompt": "a cat", "negative_prompt": "ugly"}, {**EVERYTHING, "terms": STICKY["terms"]})
    tab = send(page, made.raw[0], "txt2img", "a cat")
    until(lambda: tab.fields()["enabled"], True)
    again, _ = tab.generate()
    assert np.array_equal(again, made.pixels[0])


def test_img2img_by_click_gives_the_pixels_of_the_api_call(page: Any) -> None:
    made = job({**base(), "prompt": "a cat", "negative_prompt": "ugly"}, STICKY)
    tab = send(page, made.raw[0], "img2img", "a cat")
    until(lambda: tab.fields()["enabled"], True)
    strength = float(tab.core("denoising_strength").input_value())
    payload = {**base(), "prompt": "a cat", "init_images": [made.raw[0]], "denoising_strength": strength}
    by_hand = {**payload, "negative_prompt": "a cat, ugly, blurry, (bad:1.2)"}
    job(by_hand)  # A host's first img2img after other jobs differs by itself: its encoder draws from the global RNG.
    clicked, _ = tab.generate()
    assert np.array_equal(clicked, job(by_hand).pixels[0])


@pytest.mark.parametrize("name", ["txt2img", "img2img"])
def test_what_acted_is_told_as_a_table_and_a_plain_job_takes_it_away(page: Any, name: str) -> None:
    tab = send(page, job({**base(), "prompt": "a cat"}).raw[0], name, "a cat")
    tab.type({"steps": STEPS})
    tab.set(STICKY)
    tab.technique("guidance_by_weaker_passes", "pag", 2)
    tab.technique("cfg_and_its_limits", "dynthres", True)
    tab.generate()
    rows = tab.part("acted").locator("tr")
    until(lambda: rows.locator("td:first-child").all_inner_texts(), ["CFG", "dynamic thresholding", "PAG"])
    assert re.search(r"PAG\s+1-(\d+) \(\1 of \1\)", rows.last.inner_text())
    assert "model rows a step: 3 on" in tab.part("acted").inner_text()
    for part in ("th", "td", ".sticky-count"):
        assert _contrast(tab.part("acted").locator(part).first) >= 4.5, part
    tab.tick(False)
    tab.technique("guidance_by_weaker_passes", "pag", 0)
    tab.technique("cfg_and_its_limits", "dynthres", False)
    tab.generate()
    until(tab.part("acted").inner_text, "")


def test_the_preview_can_be_read_in_both_themes(page: Any) -> None:
    """Text against its background at 4.5 to 1 at least (WCAG 2.1, 1.4.3)."""
    tab = _ticked(page)
    tab.type({"prompt": "a cat", "cfg_scale": 1})
    until_in("CFG is 1", tab.preview)
    for kind in ("negative", "count", "warning"):
        assert _contrast(tab.part("preview").locator(f".sticky-{kind}").first) >= 4.5, kind


_COLOURS = """element => {
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
    let opacity = 1, behind = null;
    for (let at = element; at && !behind; at = at.parentElement) {
        const style = getComputedStyle(at), colour = numbers(style.backgroundColor);
        opacity *= Number(style.opacity);
        if (colour.length === 3 || colour[3] === 1) behind = colour.slice(0, 3);
    }
    return [numbers(getComputedStyle(element).color).slice(0, 3), opacity, behind ?? [255, 255, 255]];
}"""


def _contrast(words: Any) -> float:
    text, opacity, behind = words.evaluate(_COLOURS)
    seen = [opacity * t + (1 - opacity) * b for t, b in zip(text, behind, strict=True)]
    light, dark = sorted((_luminance(seen), _luminance(behind)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(rgb: list[float]) -> float:
    parts = [value / 255 for value in rgb]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
