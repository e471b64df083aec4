"""Every metric of a single picture by name: the columns of reports and CSV files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from . import burn, colour, content, contrast, frequency
from .planes import Planes

METRICS: Mapping[str, Callable[[Planes], float]] = MappingProxyType(
    {
        "clipped high": burn.clipped_high,
        "clipped low": burn.clipped_low,
        "blown highlights": burn.blown_highlights,
        "crushed blacks": burn.crushed_blacks,
        "saturation": burn.saturation,
        "saturation p95": burn.saturation_p95,
        "chroma p95": burn.chroma_p95,
        "colourfulness": colour.colourfulness,
        "colour count": colour.colour_count,
        "distinct colours": colour.distinct_colours,
        "contrast": contrast.contrast,
        "tonal range": contrast.tonal_range,
        "local contrast": contrast.local_contrast,
        "spread": contrast.spread,
        "high frequency share": frequency.high_frequency_share,
        "spectral slope": frequency.spectral_slope,
        "sharpness": frequency.sharpness,
        "noise": frequency.noise,
        "halo": frequency.halo,
        "posterisation": frequency.posterisation,
        "entropy": content.entropy,
        "flat area": content.flat_area,
        "edge density": content.edge_density,
        "edge coherence": content.edge_coherence,
        "png bytes": content.png_bytes,
        "compactness": content.compactness,
        "stripes": content.stripes,
    }
)
"""Absolute values depend on style: report differences to the same seed's reference, and never one number alone."""


def measure(planes: Planes) -> dict[str, float]:
    """All metrics of one picture, in the order of METRICS."""
    return {name: metric(planes) for name, metric in METRICS.items()}
