"""The fields that shape how hard a negative pushes: two-scale, odds gate, norm clamp; off by default."""

from __future__ import annotations

from dataclasses import dataclass

from lib_sticky.option import option

NEGATIVE = "Strength of the negative"


@dataclass(frozen=True)
class NegativeFields:
    """What acts through a negative; without one none of it does anything."""

    twoscale: float = option(
        0.0,
        label="Terms scale",
        help="A scale of its own for the push away from the negative, while the CFG scale acts against the empty "
        "prompt. 0 is off; one pass more.",
        group=NEGATIVE,
        switch=True,
        maximum=30.0,
        step=0.5,
    )
    gate: float = option(
        0.0,
        label="Odds gate",
        help="Let the negative weaken by itself once the picture is unlikely to be what it names. Factor on the "
        "odds; 0 is off, 1 is Bayes' rule.",
        group=NEGATIVE,
        switch=True,
        maximum=100.0,
        step=0.1,
    )
    gate_prior: float = option(
        0.5,
        label="Gate prior",
        help="How likely the picture is bad before the first step.",
        group=NEGATIVE,
        minimum=0.001,
        maximum=0.999,
        step=0.001,
    )
    gate_cap: float = option(
        0.0,
        label="Gate cap",
        help="Greatest gain of the negative; 0 leaves it to the CFG scale.",
        group=NEGATIVE,
        maximum=60.0,
        step=0.5,
    )
    gate_evidence: float = option(
        1.0,
        label="Gate evidence",
        help="Weight of what each step shows; below 1 the gate moves slowly.",
        group=NEGATIVE,
        step=0.001,
    )
    clamp: float = option(
        0.0,
        label="Norm clamp",
        help="Greatest push away from the negative on one step, as a root mean square in latents; 0 is off.",
        group=NEGATIVE,
        switch=True,
        maximum=10.0,
        step=0.05,
    )
