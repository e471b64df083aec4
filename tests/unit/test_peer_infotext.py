"""Other extensions' infotexts as fields of ours: both settings of the Untitled articles, and hostile values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.config import Config, parse
from lib_sticky.peer_infotext import translated

ARTICLE_1: dict[str, Any] = {
    "Prompt": "", "Negative prompt": "", "Steps": "48", "Sampler": "Euler", "CFG scale": "3", "Seed": "1337",
    "Clip skip": "2", "Dynamic thresholding enabled": "True", "Mimic scale": "1", "Separate Feature Channels": "False",
    "Scaling Startpoint": "MEAN", "Variability Measure": "AD", "Interpolate Phi": "0.3", "Threshold percentile": "100",
    "FreeU Stages": json.dumps(
        [{"backbone_factor": 1.1, "skip_factor": 0.6}, {"backbone_factor": 1.2, "skip_factor": 0.4}]
    ),
    "FreeU Schedule": "0.0, 1.0, 0.0", "PAG Active": "True", "PAG SANF": "False", "PAG Scale": "1",
    "PAG Start Step": "0", "PAG End Step": "150", "Version": "v1.9.3",
}  # fmt: skip
ARTICLE_2: dict[str, Any] = {
    "Prompt": "", "Negative prompt": "", "Steps": "48", "Sampler": "DDIM CFG++", "CFG scale": "1", "Seed": "1337",
    "SEG Active": "True", "SEG Blur Sigma": "11", "SEG Start Step": "0", "SEG End Step": "2048",
    "PAG Active": "True", "PAG SANF": "True", "PAG Scale": "1", "PAG Start Step": "0", "PAG End Step": "2048",
    "Version": "v1.10.1",
}  # fmt: skip


def test_the_first_article_pastes() -> None:
    found = translated(ARTICLE_1)
    assert parse(found.fields) == Config(
        untitled=True, pag=1.0, freeu="version 2", freeu_b1=1.1, freeu_b2=1.2, freeu_s1=0.6, freeu_s2=0.4,
        dynthres=False, dynthres_mimic=1.0, dynthres_phi=0.3, dynthres_together=True,
    )  # fmt: skip
    assert any("Dynamic Thresholding did not act" in note for note in found.notes)


def test_the_second_article_pastes() -> None:
    found = translated(ARTICLE_2)
    assert parse(found.fields) == Config(untitled=True, pag=1.0, seg="in the negative", cfgpp=0.08)
    assert any("SANF" in note for note in found.notes)
    assert any("12.5" in note for note in found.notes)


def test_thresholding_without_pag_is_on() -> None:
    alone = {key: value for key, value in ARTICLE_1.items() if not key.startswith("PAG")}
    assert translated(alone).fields["dynthres"] is True


def test_forges_built_ins_paste() -> None:
    params = {
        "Prompt": "a cat", "sag_enabled": "True", "sag_scale": "0.5", "sag_blur_sigma": "2", "sag_threshold": "1",
        "freeu_enabled": "True", "freeu_b1": "1.01", "freeu_b2": "1.02", "freeu_s1": "0.99", "freeu_s2": "0.95",
        "freeu_start": "0", "freeu_end": "0.6", "pagi_enabled": "True", "pagi_scale": "3", "pagi_start_step": "0",
        "pagi_end_step": "0.6", "dynthres_enabled": "True", "dynthres_mimic_scale": "7",
        "dynthres_threshold_percentile": "0.99", "dynthres_separate_feature_channels": "enable",
    }  # fmt: skip
    found = parse(translated(params).fields)
    assert (found.sag, found.freeu_b1, found.pag, found.guidance_stop) == (0.5, 1.01, 3.0, 0.6)
    assert (found.dynthres, found.dynthres_percentile, found.dynthres_together) == (True, 0.99, False)
    assert not found.untitled


def test_a_lone_comma_is_an_encoded_nothing() -> None:
    found = translated({"Prompt": ",", "Negative prompt": ",", "sag_enabled": "True"})
    assert parse(found.fields) == Config(untitled=True, null="encoded", sag=0.5)


def test_what_an_installed_extension_pastes_itself_is_left_to_it() -> None:
    titles = ["Incantations", "Dynamic Thresholding (CFG Scale Fix)", "FreeU"]
    assert translated(ARTICLE_1, titles).fields == {}


def test_other_infotexts_mean_nothing() -> None:
    found = translated({"Prompt": "", "Steps": "20", "Sampler": "Euler"})
    assert (found.fields, found.notes) == ({}, [])


VALUES = (
    st.text(max_size=8) | st.floats().map(str) | st.sampled_from(["True", "False", "1e309", "-1", "[]", "{}", "[1]"])
)


@given(st.dictionaries(st.sampled_from([*ARTICLE_1, *ARTICLE_2, "sag_enabled", "pagi_enabled"]), VALUES))
def test_hostile_values_still_give_a_config(params: dict[str, str]) -> None:
    on = dict.fromkeys(("PAG Active", "SEG Active", "sag_enabled", "Dynamic thresholding enabled"), "True")
    parse(translated({**params, **on}).fields)


@pytest.mark.parametrize("exponent", ["10.5", "0.5", "-3", "400"])
def test_segs_exponent(exponent: str) -> None:
    found = parse(translated({"Prompt": "a", "SEG Active": "True", "SEG Blur Sigma": exponent}).fields)
    assert 0.1 <= found.seg_sigma <= 100
