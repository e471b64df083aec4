"""What the model and the sampler of a WebUI's pass make impossible."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.layers import network_of
from lib_sticky.hosts.unet_parts import NoUNet, UNetParts, parts_of

RENOISING = ("sample_euler", "ddim", "ddim_cfgpp")
"""The sampling functions whose step the CFG++ step can be written as."""


def unet_parts() -> UNetParts | None:
    """The parts of the loaded model, which a refiner may change within a pass; None where it is no UNet."""
    from modules import shared

    try:
        return parts_of(network_of(shared.sd_model))
    except NoUNet:
        return None


def within(selection: Selection, p: Any) -> tuple[Selection, tuple[str, ...]]:
    """The selection without what this pass cannot do, and why, in words."""
    found: list[str] = []
    if unet_parts() is None:
        outside = without_perturbing(replace(selection, freeu=None))
        if outside != selection:
            found.append("PAG, SEG, TPG, SAG and FreeU act on UNets only, which this model is not")
        if outside.odds_gate:
            outside = replace(outside, odds_gate=None)
            found.append("the odds gate counts on the noise of Stable Diffusion 1, 2 and XL, which this model has not")
        selection = outside
    if p.get_token_merging_ratio(for_hr=bool(getattr(p, "is_hr_pass", False))) > 0 and (selection.seg or selection.sag):
        selection = replace(selection, seg=None, sag=None)
        found.append("SEG and SAG cannot act while token merging is on")
    if selection.cfg_pp and getattr(p.sampler.func, "__name__", "") not in RENOISING:
        selection = replace(selection, cfg_pp=None)
        found.append("CFG++ cannot act with this sampler; use Euler, DDIM or DDIM CFG++")
    return selection, tuple(found)


def without_perturbing(selection: Selection) -> Selection:
    """The selection without what changes single rows inside the model."""
    return replace(selection, pag=None, seg=None, tpg=None, sag=None)
