"""From fields to techniques."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky.config import DEFAULTS, INTERVALS, OPTIONS, SWITCHES, Config
from lib_sticky.guidance.apg import Apg
from lib_sticky.guidance.cfg_pp import CfgPlusPlus
from lib_sticky.guidance.dynamic_thresholding import DynamicThresholding
from lib_sticky.guidance.freeu import FreeU
from lib_sticky.guidance.interval import Interval
from lib_sticky.guidance.norm_clamp import NormClamp
from lib_sticky.guidance.odds_gate import OddsGate
from lib_sticky.guidance.pag import Pag
from lib_sticky.guidance.rescale import Rescale
from lib_sticky.guidance.sag import Sag
from lib_sticky.guidance.seg import Seg
from lib_sticky.guidance.selection import Selection
from lib_sticky.guidance.tpg import Tpg
from lib_sticky.guidance.two_scale import TwoScale
from lib_sticky.hosts.selected import selected

NO_TECHNIQUE = {"enabled", "untitled", "null", "neglora", "filmstrip", "measure_scale"}
"""Switches that change conditionings or only watch, and leave the techniques alone."""


def test_nothing_is_on_by_default() -> None:
    assert selected(Config()) == Selection()


@pytest.mark.parametrize("name", [name for name in SWITCHES if name not in NO_TECHNIQUE])
def test_every_technique_switch_turns_on_exactly_one(name: str) -> None:
    about, default = OPTIONS[name], DEFAULTS[name]
    value = about.choices[-1] if about.choices else True if isinstance(default, bool) else about.maximum / 2
    found = selected(Config(**{name: value}))
    differing = [
        field.name
        for field in dataclasses.fields(Selection)
        if getattr(found, field.name) != getattr(Selection(), field.name)
    ]
    assert len(differing) == 1


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (Config(pag=1.5, guidance_stop=0.5), Selection(pag=Pag(1.5, Interval(0, 0.5)))),
        (Config(seg="own pass", seg_scale=2, seg_sigma=4), Selection(seg=Seg(4, 2))),
        (Config(seg="in the negative"), Selection(seg=Seg(math.inf, 3, folded=True))),
        (Config(sag=0.5, sag_sigma=3, sag_threshold=0.9), Selection(sag=Sag(0.5, 3, 0.9))),
        (Config(tpg=3, guidance_start=0.1), Selection(tpg=Tpg(3, Interval(0.1)))),
        (Config(freeu="version 1"), Selection(freeu=FreeU(1.1, 1.2, 0.6, 0.4, 1))),
        (Config(freeu="version 2", freeu_b1=1.3), Selection(freeu=FreeU(1.3, 1.2, 0.6, 0.4, 2))),
        (Config(cfgpp=0.6), Selection(cfg_pp=CfgPlusPlus(0.6))),
        (Config(cfg_start=0.2, cfg_stop=0.7), Selection(cfg=Interval(0.2, 0.7))),
        (Config(rescale=0.7), Selection(rescale=Rescale(0.7))),
        (Config(apg=True, apg_norm=15, apg_momentum=-0.5), Selection(apg=Apg(0, 15, -0.5))),
        (Config(twoscale=6), Selection(two_scale=TwoScale(6))),
        (Config(gate=2, gate_prior=0.1), Selection(odds_gate=OddsGate(2, 0.1, math.inf, 1))),
        (Config(gate=1, gate_cap=5, gate_evidence=0.1), Selection(odds_gate=OddsGate(1, 0.5, 5, 0.1))),
        (Config(clamp=0.3), Selection(norm_clamp=NormClamp(0.3))),
        (
            Config(dynthres=True, dynthres_mimic=4, dynthres_phi=0.3, dynthres_together=True),
            Selection(dynamic_thresholding=DynamicThresholding(4, 0.3, 1, "AD", "MEAN", separate_channels=False)),
        ),
    ],
)  # fmt: skip
def test_fields_reach_their_technique(config: Config, wanted: Selection) -> None:
    assert selected(config) == wanted


def test_the_hires_pass_can_be_left_to_cfg() -> None:
    config = Config(pag=1, cfgpp=0.5, guidance_hires="off")
    assert selected(config).pag
    assert selected(config, hires=True) == Selection()
    assert selected(dataclasses.replace(config, guidance_hires="same"), hires=True) == selected(config)


NUMBERS = {name: about for name, about in OPTIONS.items() if isinstance(DEFAULTS[name], float)}
CONFIGS = st.fixed_dictionaries(
    {
        **{name: st.floats(about.minimum, about.maximum) for name, about in NUMBERS.items()},
        **{name: st.sampled_from(about.choices) for name, about in OPTIONS.items() if about.choices},
        "apg": st.booleans(),
        "dynthres": st.booleans(),
    }
)


@given(CONFIGS)
def test_every_config_within_its_ranges_is_one_that_guidance_takes(values: dict) -> None:
    for pair in INTERVALS:
        values.update(zip(pair, sorted(values[name] for name in pair), strict=True))
    assert isinstance(selected(Config(**values)), Selection)
