"""The fields of the negative LoRA: which files, how strongly, on which side, on which steps; none by default."""

from __future__ import annotations

from dataclasses import dataclass

from lib_sticky.option import option

NEGLORA = "Negative LoRA"
NEGATIVE_ONLY = "negative only"
BOTH_SIDES = "both sides"


@dataclass(frozen=True)
class NegLoraFields:
    """LoRAs that act on the negative side of the guidance."""

    neglora: str = option(
        "",
        label="Negative LoRA",
        help="LoRAs for the negative side by name, such as wrong:0.8, other. <neglora:wrong:0.8> in the negative "
        "prompt does the same.",
        group=NEGLORA,
        switch=True,
    )
    neglora_strength: float = option(
        1.0,
        label="Negative LoRA strength",
        help="Of the LoRAs that are named without a strength of their own; 0 is off.",
        group=NEGLORA,
        minimum=-4.0,
        maximum=4.0,
        step=0.05,
    )
    neglora_side: str = option(
        NEGATIVE_ONLY,
        label="Negative LoRA side",
        help="Negative only leaves the prompt's own prediction to the model as it is; both sides is what an ordinary "
        "LoRA does.",
        group=NEGLORA,
        choices=(NEGATIVE_ONLY, BOTH_SIDES),
    )
    neglora_start: float = option(
        0.0,
        label="Negative LoRA start",
        help="Fraction of the steps from which it acts on the picture; on the text it acts throughout.",
        group=NEGLORA,
    )
    neglora_stop: float = option(
        1.0,
        label="Negative LoRA stop",
        help="Fraction of the steps up to which it acts.",
        group=NEGLORA,
    )
