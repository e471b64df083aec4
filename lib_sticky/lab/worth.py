"""What counts as worth keeping where nobody has voted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from .compare import BLANK, blank
from .metrics import measure
from .planes import Planes

CLEAN = "judged clean, and not blank"
NOISE = 0.15
"""Noise, as the metric of that name, above which a picture is no picture."""

JUDGED = (
    "A picture counts as worth keeping where the shipped model's own judges call it clean and it is not blank. They "
    "are small networks that know only this model's world of plain shapes (docs/MODEL.md has how often they err)."
)
MEASURED = (
    "Without votes, a picture counts as worth keeping where it is neither blank (a plain ground of any colour) nor "
    f"noise (the metric of that name above {NOISE:g}). That is a floor and no taste: keep and reject for yourself."
)


def scored(picture: Image.Image, judged: Mapping[str, bool]) -> dict[str, Any]:
    """Whether the picture is worth keeping, and all its metrics."""
    planes = Planes.of(picture)
    measured, empty = measure(planes), blank(planes)
    kept = not empty and (judged[CLEAN] if CLEAN in judged else measured["noise"] <= NOISE)
    return {"kept": bool(kept), "said": {BLANK: empty, **judged}, "measured": measured}
