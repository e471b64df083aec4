"""The fields of Untitled and of the guidance techniques: off by default, those of one technique sharing a first word.

The formulas are in docs/GUIDANCE.md, the ranges here are those that can be useful, within what guidance/ accepts.
"""

from __future__ import annotations

from dataclasses import dataclass

from lib_sticky.option import option

UNTITLED = "Untitled"
PERTURBED = "Guidance by weaker passes"
SCALE = "CFG and its limits"

NULL_HOST = "as the host does"
NULL_ZEROS = "zeros"
NULL_ENCODED = "encoded"
NULL_SAME = "same as the positive"

OFF = "off"
SEG_OWN = "own pass"
SEG_FOLDED = "in the negative"
SEG_INFINITE = 100.0
"""The greatest sigma of the field stands for infinity, which JSON and sliders cannot hold."""

FREEU_1 = "version 1"
FREEU_2 = "version 2"


@dataclass(frozen=True)
class GuidanceFields:
    """What acts with or without a prompt, one technique after another."""

    untitled: bool = option(
        False,
        label="Untitled",
        help="Run the job with no prompt at all; what is typed stays in the page and is not used.",
        group=UNTITLED,
        switch=True,
    )
    untitled_cfg: float = option(
        0.0,
        label="Untitled CFG scale",
        help="CFG scale of an untitled job; 0 is the scale of the page.",
        group=UNTITLED,
        maximum=30.0,
        step=0.5,
    )
    null: str = option(
        NULL_HOST,
        label="Empty negative",
        help="What an empty negative is: a text conditioning of zeros, the encoded empty text, or that of the "
        "positive, with which CFG does nothing. Hosts use zeros with SDXL and the encoded text with SD1 and SD2.",
        group=UNTITLED,
        switch=True,
        choices=(NULL_HOST, NULL_ZEROS, NULL_ENCODED, NULL_SAME),
    )
    guidance_start: float = option(
        0.0,
        label="Guidance start",
        help="Fraction of the steps from which PAG, SEG, TPG, SAG and FreeU act.",
        group=PERTURBED,
    )
    guidance_stop: float = option(
        1.0,
        label="Guidance stop",
        help="Fraction of the steps up to which they act.",
        group=PERTURBED,
    )
    guidance_hires: str = option(
        "same",
        label="Guidance in the hires pass",
        help="Off leaves the hires pass to CFG alone, and with Untitled keeps it untitled.",
        group=PERTURBED,
        choices=("same", OFF),
    )
    pag: float = option(
        0.0,
        label="PAG scale",
        help="Away from a pass whose self-attention sees only itself. 0 is off, 1 to 3 are usual; one pass more.",
        group=PERTURBED,
        switch=True,
        maximum=10.0,
        step=0.1,
    )
    seg: str = option(
        OFF,
        label="SEG",
        help="Away from a pass whose attention is blurred: one pass more, or blurring the negative's own pass, "
        "where the CFG scale is the strength.",
        group=PERTURBED,
        switch=True,
        choices=(OFF, SEG_OWN, SEG_FOLDED),
    )
    seg_scale: float = option(
        3.0, label="SEG scale", help="Strength of SEG in a pass of its own.", group=PERTURBED, maximum=10.0, step=0.1
    )
    seg_sigma: float = option(
        SEG_INFINITE,
        label="SEG sigma",
        help="Width of the blur in attention tokens; 100 is infinitely wide.",
        group=PERTURBED,
        minimum=0.1,
        maximum=SEG_INFINITE,
        step=0.1,
    )
    tpg: float = option(
        0.0,
        label="TPG scale",
        help="Away from a pass whose tokens are shuffled. 0 is off, 3 is usual; one pass more.",
        group=PERTURBED,
        switch=True,
        maximum=10.0,
        step=0.1,
    )
    sag: float = option(
        0.0,
        label="SAG scale",
        help="Away from what the model sees when its picture is blurred where it looks most. 0 is off, 0.5 is usual; "
        "a second call.",
        group=PERTURBED,
        switch=True,
        maximum=5.0,
        step=0.05,
    )
    sag_sigma: float = option(
        2.0, label="SAG sigma", help="Width of SAG's blur in latent pixels.", group=PERTURBED, maximum=10.0, step=0.1
    )
    sag_threshold: float = option(
        1.0,
        label="SAG threshold",
        help="How much attention, in averages, makes a place blurred.",
        group=PERTURBED,
        maximum=5.0,
        step=0.05,
    )
    freeu: str = option(
        OFF,
        label="FreeU",
        help="Stronger backbone features and weaker skips in the decoder of a UNet; no further pass.",
        group=PERTURBED,
        switch=True,
        choices=(OFF, FREEU_1, FREEU_2),
    )
    freeu_b1: float = option(
        1.1, label="FreeU b1", help="Backbone, widest stage (1280 channels); 1 is off.", group=PERTURBED, maximum=3.0
    )
    freeu_b2: float = option(
        1.2, label="FreeU b2", help="Backbone, next stage (640 channels); 1 is off.", group=PERTURBED, maximum=3.0
    )
    freeu_s1: float = option(
        0.6, label="FreeU s1", help="Skips of the widest stage; 1 is off.", group=PERTURBED, maximum=3.0
    )
    freeu_s2: float = option(
        0.4, label="FreeU s2", help="Skips of the next stage; 1 is off.", group=PERTURBED, maximum=3.0
    )
    cfg_start: float = option(
        0.0, label="CFG start", help="Fraction of the steps from which the CFG scale acts.", group=SCALE, switch=True
    )
    cfg_stop: float = option(
        1.0, label="CFG stop", help="Fraction of the steps up to which it acts.", group=SCALE, switch=True
    )
    cfgpp: float = option(
        0.0,
        label="CFG++ strength",
        help="Lambda of CFG++, the same on every host, in place of the CFG scale. 0 is off, 0.1 to 1 are usual.",
        group=SCALE,
        switch=True,
        maximum=3.0,
    )
    rescale: float = option(
        0.0,
        label="CFG rescale",
        help="How much of the contrast of the positive's own prediction is given back; 0 is off.",
        group=SCALE,
        switch=True,
    )
    dynthres: bool = option(
        False,
        label="Dynamic thresholding",
        help="Guide at the CFG scale but keep the spread that the mimic scale would have.",
        group=SCALE,
        switch=True,
    )
    dynthres_mimic: float = option(
        7.0, label="Mimic scale", help="CFG scale whose spread is kept.", group=SCALE, maximum=30.0, step=0.5
    )
    dynthres_phi: float = option(
        1.0, label="Thresholding phi", help="Share of the thresholded result; the rest is plain CFG.", group=SCALE
    )
    dynthres_percentile: float = option(
        1.0,
        label="Thresholding percentile",
        help="Share of the values that is left unclamped.",
        group=SCALE,
        step=0.001,
    )
    dynthres_spread: str = option(
        "AD", label="Thresholding spread", help="Largest distance, or deviation.", group=SCALE, choices=("AD", "STD")
    )
    dynthres_centre: str = option(
        "MEAN", label="Thresholding centre", help="Around each mean, or zero.", group=SCALE, choices=("MEAN", "ZERO")
    )
    dynthres_together: bool = option(
        False, label="Channels thresholded together", help="One spread for all channels of a picture.", group=SCALE
    )
    apg: bool = option(
        False,
        label="APG",
        help="Turn down the part of the guidance that only brightens and saturates.",
        group=SCALE,
        switch=True,
    )
    apg_eta: float = option(0.0, label="APG eta", help="Share of that part which is kept; 1 is plain CFG.", group=SCALE)
    apg_norm: float = option(
        0.0, label="APG norm limit", help="Greatest length of the guidance of a picture; 0 is none.", group=SCALE,
        maximum=100.0, step=0.5,
    )  # fmt: skip
    apg_momentum: float = option(
        0.0, label="APG momentum", help="Weight of earlier steps; about -0.5 in the paper.", group=SCALE, minimum=-1.0
    )
