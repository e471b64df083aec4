"""The fields that turn on each technique alone."""

from __future__ import annotations

from typing import Any

TECHNIQUES: dict[str, dict[str, Any]] = {
    "PAG": {"pag": 1.5},
    "SEG": {"seg": "own pass", "seg_sigma": 1.5},
    "SEG in the negative": {"seg": "in the negative"},
    "TPG": {"tpg": 2.0},
    "SAG": {"sag": 0.75, "sag_threshold": 0.9},
    "FreeU": {"freeu": "version 2"},
    "CFG++": {"cfgpp": 0.5},
    "dynamic thresholding": {"dynthres": True, "dynthres_mimic": 3.0},
    "APG": {"apg": True},
    "CFG rescale": {"rescale": 0.7},
    "two-scale": {"twoscale": 3.0},
    "odds gate": {"gate": 1.0, "gate_evidence": 0.01},
    "norm clamp": {"clamp": 0.01},
}
