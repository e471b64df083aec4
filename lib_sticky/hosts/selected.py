"""From the config's flat fields to what guidance/ is told to do."""

from __future__ import annotations

import math
from typing import Literal, cast

from lib_sticky.config import Config
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
from lib_sticky.guidance_fields import FREEU_1, OFF, SEG_FOLDED, SEG_INFINITE


def selected(config: Config, *, hires: bool = False) -> Selection:
    """The techniques that `config` turns on in the first or hires pass; Selection() where it turns on none."""
    if hires and config.guidance_hires == OFF:
        return Selection()
    interval = Interval(config.guidance_start, config.guidance_stop)
    return Selection(
        cfg=Interval(config.cfg_start, config.cfg_stop),
        cfg_pp=CfgPlusPlus(config.cfgpp) if config.cfgpp else None,
        two_scale=TwoScale(config.twoscale) if config.twoscale else None,
        odds_gate=_gate(config),
        norm_clamp=NormClamp(config.clamp) if config.clamp else None,
        apg=Apg(config.apg_eta, config.apg_norm, config.apg_momentum) if config.apg else None,
        dynamic_thresholding=_thresholding(config),
        pag=Pag(config.pag, interval) if config.pag else None,
        seg=_seg(config, interval),
        tpg=Tpg(config.tpg, interval) if config.tpg else None,
        sag=Sag(config.sag, config.sag_sigma, config.sag_threshold, interval) if config.sag else None,
        rescale=Rescale(config.rescale) if config.rescale else None,
        freeu=_freeu(config, interval),
    )


def cfg_scale(config: Config, asked: float) -> float:
    """The CFG scale of a pass for which the page asks for `asked`."""
    return config.untitled_cfg if config.untitled and config.untitled_cfg else asked


def _gate(config: Config) -> OddsGate | None:
    if not config.gate:
        return None
    return OddsGate(config.gate, config.gate_prior, config.gate_cap or math.inf, config.gate_evidence)


def _thresholding(config: Config) -> DynamicThresholding | None:
    if not config.dynthres:
        return None
    return DynamicThresholding(
        mimic=config.dynthres_mimic,
        phi=config.dynthres_phi,
        percentile=config.dynthres_percentile,
        variability=cast("Literal['AD', 'STD']", config.dynthres_spread),
        startpoint=cast("Literal['MEAN', 'ZERO']", config.dynthres_centre),
        separate_channels=not config.dynthres_together,
    )


def _seg(config: Config, interval: Interval) -> Seg | None:
    if config.seg == OFF:
        return None
    sigma = math.inf if config.seg_sigma == SEG_INFINITE else config.seg_sigma
    return Seg(sigma, config.seg_scale, config.seg == SEG_FOLDED, interval)


def _freeu(config: Config, interval: Interval) -> FreeU | None:
    if config.freeu == OFF:
        return None
    version = 1 if config.freeu == FREEU_1 else 2
    return FreeU(config.freeu_b1, config.freeu_b2, config.freeu_s1, config.freeu_s2, version, interval)
