"""The page of a comparison: well formed, complete, self-contained, and safe with any text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html.parser import HTMLParser

import pytest

from lib_sticky.lab.report_html import Cell, Picture, Report, Row, Section, Value, page
from lib_sticky.lab.step_chart import step_chart

VOID = {"meta", "img", "input", "br"}
NASTY = "</script><script>alert('x')</script> \" ' & <img src=http://example.com/x.png>"


class Read(HTMLParser):
    """Collects tags and links, and fails where an element is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: set[str] = set()
        self.links: set[str] = set()
        self.ids: list[str] = []
        self.data: dict[str, str] = {}
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in named:
            self.ids.append(str(named["id"]))
        self.sources |= {str(named["src"])} if "src" in named else set()
        self.links |= {str(named["href"])} if "href" in named else set()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"] and "pictures" not in self.data:
            self.data["pictures"] = data
        self.text += data


def read(text: str) -> Read:
    found = Read()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def report(
    prompt: str = "a red circle", refusal: str = "No verdict.", arms: Sequence[str] = ("A0", "A2 sticky")
) -> Report:
    def cell(name: str) -> Cell:
        pictures = [Picture(seed, f"pictures/{name}/{seed}.png", f"{prompt}, Seed: {seed}") for seed in (1, 2)]
        return Cell(name, "about", prompt, pictures, f"filmstrips/{name}.png")

    row = Row("contrast", [Value("0.2", ["median"]), Value("+0.1", ["[0, +0.2]", "p 0.5"], "higher")])
    cells = [cell(arm) for arm in arms]
    section = Section(
        "CFG 7",
        ["note"],
        "grids/1.png",
        cells,
        ["metric", "A0", "A2"],
        [row],
        [row],
        {"A0": [0.5, 0.25], "A2": [0.1, 0.2]},
    )
    return Report("title", prompt, [("Model", "m")], refusal, [section], ["method"], [("pictures.csv", "figures")])


def test_every_picture_strip_grid_and_file_is_in_the_page():
    found = read(page(report()))
    pictures = {f"pictures/{arm}/{seed}.png" for arm in ("A0", "A2 sticky") for seed in (1, 2)}
    strips = {"filmstrips/A0.png", "filmstrips/A2 sticky.png"}
    assert found.sources == pictures | strips
    assert pictures | strips | {"grids/1.png", "pictures.csv"} == found.links
    assert len(found.ids) == len(set(found.ids))


def test_nothing_is_loaded_from_elsewhere():
    text = page(report())
    assert "http" not in text and "//" not in text.replace("</", "")


def test_the_slider_has_every_picture_and_begins_with_plain_against_sticky():
    data = json.loads(read(page(report())).data["pictures"])
    assert data["seeds"] == [1, 2]
    assert [cell["label"] for cell in data["cells"]] == ["A0", "A2 sticky"]
    assert data["cells"][1]["pictures"][0] == ["pictures/A2 sticky/1.png", "a red circle, Seed: 1"]
    assert (data["left"], data["right"]) == (0, 1)


def test_where_no_arm_is_sticky_the_slider_begins_with_the_first_against_the_last():
    data = json.loads(read(page(report(arms=("N0", "N1", "N4")))).data["pictures"])
    assert (data["left"], data["right"]) == (0, 2)


def test_text_cannot_break_out():
    text = page(report(prompt=NASTY))
    assert text.count("<script") == text.count("</script>") == 2
    found = read(text)
    assert NASTY in found.text
    assert not any("example.com" in source for source in found.sources)
    assert json.loads(found.data["pictures"])["cells"][0]["pictures"][0][1].startswith(NASTY)


@pytest.mark.parametrize("words", ["No verdict. Pictures in the smallest cell: 8", ""])
def test_the_refusal_stands_in_words_or_not_at_all(words: str):
    text = page(report(refusal=words))
    assert ("role=note" in text) is bool(words)
    assert words in text


def test_a_chart_puts_its_peak_at_the_top_and_zero_at_the_bottom():
    text = step_chart({"A0 <b>": [4.0, 0.0, 2.0], "A2": [1.0, 1.0, 1.0]}, "about")
    points = [
        [tuple(map(float, pair.split(","))) for pair in part.split('"')[0].split()]
        for part in text.split('points="')[1:]
    ]
    (first, last, middle), flat = points[0], points[1]
    assert first[1] == 10.0 and last[1] == 200.0 and middle[1] == 105.0
    assert len({y for _, y in flat}) == 1
    assert first[0] < last[0] < middle[0]
    assert "<b>" not in text
    read(text)
    read(step_chart({"A0": [0.0]}, "no guidance"))
    with pytest.raises(ValueError, match="at least one line"):
        step_chart({}, "nothing")
