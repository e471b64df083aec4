"""Every technique on a running WebUI: it changes the picture when on and leaves nothing behind, alone and in pairs.

All with Euler, with which CFG++ can act. What a host cannot do it must say.
"""

from __future__ import annotations

import os
from functools import cache
from itertools import combinations
from typing import Any

import pytest

from tests.live.cases import GUIDED, HIRES, IMG2IMG, INPAINT, base
from tests.live.webui import Answer, call, job

TECHNIQUES: dict[str, dict[str, Any]] = {
    "PAG": {"pag": 3.0},
    "SEG": {"seg": "own pass"},
    "SEG in the negative": {"seg": "in the negative"},
    "TPG": {"tpg": 3.0},
    "SAG": {"sag": 1.5, "sag_threshold": 0.9},
    "FreeU": {"freeu": "version 2", "freeu_b1": 1.6},
    "CFG++": {"cfgpp": 0.5},
    "dynamic thresholding": {"dynthres": True, "dynthres_mimic": 3.0},
    "APG": {"apg": True},
    "CFG rescale": {"rescale": 0.9},
    "two-scale": {"twoscale": 5.0},
    "odds gate": {"gate": 1.0, "gate_evidence": 0.001},
    "norm clamp": {"clamp": 0.02},
}
PLAIN = {**base(), "prompt": "a cat", "negative_prompt": "ugly"}
PAIRS = [pair for pair in combinations(TECHNIQUES, 2) if set(pair) != {"SEG", "SEG in the negative"}]
WAYS: dict[str, dict[str, Any]] = {
    "batch of 2": {"batch_size": 2},
    "AND": {"prompt": "a cat AND a dog :0.5"},
    "different lengths": {"negative_prompt": ", ".join(f"word{i} thing" for i in range(40))},
    "hires fix": HIRES,
    "img2img": IMG2IMG,
    "inpaint": INPAINT,
    "DPM++ SDE": {"sampler_name": "DPM++ SDE"},
    "Heun": {"sampler_name": "Heun"},
    "DDIM": {"sampler_name": "DDIM"},
    "UniPC": {"sampler_name": "UniPC"},
    "CFG 1": {"cfg_scale": 1},
    "NGMS": {"s_min_uncond": 5},
}


def drawn(answer: Answer) -> list[bytes]:
    """The pictures themselves: the files differ by their infotexts alone already."""
    return [picture.tobytes() for picture in answer.pixels]


@cache
def made(names: tuple[str, ...]) -> Answer:
    fields: dict[str, Any] = {}
    for name in names:
        fields.update(TECHNIQUES[name])
    return job(PLAIN, fields)


def acted(answer: Answer) -> str:
    """What the infotext says that acted."""
    text = answer.infotexts[0]
    assert "Sticky error" not in text, text
    return text.split("Sticky acted: ")[1].split("Version")[0]


@cache
def plain() -> Answer:
    """Before any technique was on."""
    return job(PLAIN)


def test_off_is_the_hosts_own_picture() -> None:
    assert drawn(job(PLAIN, {})) == drawn(plain())


@pytest.mark.parametrize("name", TECHNIQUES)
def test_it_changes_the_picture_says_so_and_leaves_nothing_behind(name: str) -> None:
    before, on = plain(), made((name,))
    assert name in acted(on).split("inert")[0]
    assert on.pixels[0].std() > 0
    assert drawn(on) != drawn(before)
    assert drawn(job(PLAIN)) == drawn(before)


@pytest.mark.parametrize("pair", PAIRS, ids=" + ".join)
def test_a_pair_differs_from_each_alone(pair: tuple[str, str]) -> None:
    both = made(pair)
    said = acted(both)
    assert all(name in said for name in pair)
    if all(name in said.split("inert")[0] for name in pair):
        assert drawn(both) not in [drawn(made((name,))) for name in pair]


@pytest.mark.parametrize("way", WAYS)
def test_it_acts_in_every_way_of_making_pictures(way: str) -> None:
    payload = {**PLAIN, **WAYS[way]}
    without = job(payload)
    job(payload, GUIDED)  # The Forge family's inpainting depends on the job before: so compare equals after equals.
    found = job(payload, GUIDED)
    assert "PAG" in acted(found).split("inert")[0]
    assert drawn(found) != drawn(without)
    assert drawn(job(payload, GUIDED)) == drawn(found)
    assert all(picture.std() > 0 for picture in found.pixels)


def rows(answer: Answer) -> int:
    """Model rows for each image on the last step, by the API; Forge Classic skips the negative on the first."""
    (told,) = answer.info["extra_generation_params"]["Sticky report"]
    assert f"{sum(told['rows'])} rows" in acted(answer)
    return told["rows"][-1]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"untitled": True, "null": "encoded"}, 1),
        ({"rescale": 0.5}, 2),
        ({"pag": 1.0}, 3),
        ({"pag": 1.0, "seg": "own pass"}, 4),
        ({"untitled": True, "null": "encoded", "seg": "in the negative"}, 2),
        ({"untitled": True, "null": "zeros"}, 2),
        ({"sag": 0.5}, 3),
    ],
)
def test_rows_of_a_step(fields: dict[str, Any], wanted: int) -> None:
    assert rows(job(PLAIN, fields)) == wanted


def test_untitled_uses_nothing_that_was_typed() -> None:
    texts = ("a cat", "a dog", "a dog AND a moon")
    one, other, composed = (job({**PLAIN, "prompt": text}, {"untitled": True}) for text in texts)
    assert one.pixels[0].tobytes() == other.pixels[0].tobytes()
    apart = abs(one.pixels[0].astype(int) - composed.pixels[0].astype(int)).max()
    assert apart <= 2, "AND brings a row more, which costs the host's own rounding"
    assert "a cat" in one.infotexts[0]
    empty = job({**PLAIN, "prompt": "", "negative_prompt": ""})
    difference = abs(one.pixels[0].astype(int) - empty.pixels[0].astype(int)).max()
    assert difference <= 1, "one pass where the host runs two equal ones, within a rounding"


def test_untitled_has_a_scale_of_its_own() -> None:
    at_3 = job({**PLAIN, "cfg_scale": 3}, {"untitled": True, "null": "zeros"})
    own = job(PLAIN, {"untitled": True, "null": "zeros", "untitled_cfg": 3.0})
    assert at_3.pixels[0].tobytes() == own.pixels[0].tobytes()


def test_the_empty_negative_is_a_choice() -> None:
    payload = {**PLAIN, "negative_prompt": ""}
    host, zeros, encoded, same = (
        job(payload, fields).pixels[0].tobytes()
        for fields in ({}, {"null": "zeros"}, {"null": "encoded"}, {"null": "same as the positive"})
    )
    assert zeros != encoded
    assert host == (zeros if os.environ.get("STICKY_LIVE_SDXL") else encoded)
    assert same not in (zeros, encoded)


NEIGHBOURS: dict[str, list[Any]] = {
    "dynamic thresholding (cfg scale fix)": [True, 3.0, 100],
    "neutral prompt": [0.5],
    "incantations": [False, 11.0, 0, 150, False, 1.0, 0.8, 3.0, 0.0, 0, 150, 4, True, 3.0],
}


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
@pytest.mark.parametrize("name", ["PAG", "SAG", "APG", "dynamic thresholding", "SEG in the negative"])
def test_beside_a_neighbour_at_work_nothing_breaks_and_the_report_says_who_acted(neighbour: str, name: str) -> None:
    if neighbour not in {script["name"] for script in call("/sdapi/v1/script-info")}:
        pytest.skip(f"the host lacks {neighbour}")
    payload = {**PLAIN, "alwayson_scripts": {neighbour: {"args": NEIGHBOURS[neighbour]}}}
    alone, beside = job(payload), job(payload, TECHNIQUES[name])
    told = acted(beside)
    assert beside.pixels[0].std() > 0
    if "in place of Sticky" in told:
        assert "incantations" in told or "scripts" in told
    else:
        assert name in told
        assert drawn(beside) != drawn(alone)
