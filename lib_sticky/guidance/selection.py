"""Which techniques are on, and how a step reports what they did."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .apg import Apg
from .cfg_pp import CfgPlusPlus
from .dynamic_thresholding import DynamicThresholding
from .freeu import FreeU
from .interval import Interval
from .norm_clamp import NormClamp
from .odds_gate import OddsGate
from .pag import Pag
from .rescale import Rescale
from .sag import Sag
from .seg import Seg
from .tpg import Tpg
from .two_scale import TwoScale


class Technique(str, Enum):
    """Every technique by the name that users read, in the order in which `combine` applies them."""

    FREEU = "FreeU"
    FOLDED_SEG = "SEG in the negative"
    ODDS_GATE = "odds gate"
    APG = "APG"
    NORM_CLAMP = "norm clamp"
    CFG = "CFG"
    CFG_PP = "CFG++"
    DYNAMIC_THRESHOLDING = "dynamic thresholding"
    TWO_SCALE = "two-scale"
    PAG = "PAG"
    SEG = "SEG"
    TPG = "TPG"
    SAG = "SAG"
    RESCALE = "CFG rescale"


@dataclass(frozen=True)
class Inert:
    """A technique that was asked for and did not act, and why."""

    technique: Technique
    reason: str


@dataclass(frozen=True)
class Selection:
    """The techniques that are on; None is off. `cfg` is the part of the steps on which the CFG scale applies."""

    cfg: Interval = Interval()
    cfg_pp: CfgPlusPlus | None = None
    two_scale: TwoScale | None = None
    odds_gate: OddsGate | None = None
    norm_clamp: NormClamp | None = None
    apg: Apg | None = None
    dynamic_thresholding: DynamicThresholding | None = None
    pag: Pag | None = None
    seg: Seg | None = None
    tpg: Tpg | None = None
    sag: Sag | None = None
    rescale: Rescale | None = None
    freeu: FreeU | None = None
