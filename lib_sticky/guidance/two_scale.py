"""Two scales for one picture: one for the prompt, one for the undesirable terms."""

from __future__ import annotations

from dataclasses import dataclass

from .ranges import require


@dataclass(frozen=True)
class TwoScale:
    """terms: gain g of the push away from "prompt, undesirable terms"; 0 is plain CFG against the empty negative.

    D = D_0 + w (D_c - D_0) + g (D_c - D_cb): w is the CFG scale, D_0 the empty prediction, D_cb that of the tracked
    negative. Three model rows in one call.
    """

    terms: float

    def __post_init__(self) -> None:
        require("terms scale", self.terms, 0.0)


def and_weights(scale: float, terms: float) -> tuple[float, float]:
    """The weights a, b of `prompt :a AND prompt, terms :b` that make the same picture with an empty negative.

    a = 1 + g / w and b = -g / w, at CFG scale w.
    """
    return 1 + terms / scale, -terms / scale
