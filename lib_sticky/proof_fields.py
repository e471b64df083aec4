"""The fields that show what a negative did: filmstrip, effective scale; off by default."""

from __future__ import annotations

from dataclasses import dataclass

from lib_sticky.guidance_fields import OFF
from lib_sticky.option import option

PROOF = "Proof"
FAST, VAE = "fast", "vae"


@dataclass(frozen=True)
class ProofFields:
    """What is shown beside a picture; none of it changes the picture."""

    filmstrip: str = option(
        OFF,
        label="Filmstrip",
        help="Also draw what the model predicted on the way, with and without the negative: fast by a linear map, or "
        "by the VAE. No model call.",
        group=PROOF,
        switch=True,
        choices=(OFF, FAST, VAE),
    )
    measure_scale: bool = option(
        False,
        label="Say what the CFG scale amounts to",
        help="Measure how far the negative pushes against an empty one, on three steps; one model call more on each.",
        group=PROOF,
        switch=True,
    )
