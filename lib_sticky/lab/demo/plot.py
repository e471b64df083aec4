"""A line of losses as a picture, with nothing but Pillow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

_WIDTH, _HEIGHT, _LEFT, _FOOT = 640, 320, 52, 24


def smoothed(values: Sequence[float], window: int) -> list[float]:
    """Running means over `window` values, one for each full window, without overlap."""
    return [sum(values[i : i + window]) / window for i in range(0, len(values) - window + 1, window)]


def save_loss_plot(losses: Sequence[float], path: Path, title: str) -> None:
    """Losses on a logarithmic axis, averaged to at most 300 points."""
    points = smoothed(losses, max(1, len(losses) // 300))
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    draw.text((_LEFT, 4), f"{title}: {len(losses)} steps, last mean {points[-1]:.4f}", fill="black")
    low, high = math.log10(min(points) * 0.95), math.log10(max(points) * 1.05)

    def place(index: int, value: float) -> tuple[float, float]:
        x = _LEFT + (_WIDTH - _LEFT - 10) * index / max(1, len(points) - 1)
        return x, _HEIGHT - _FOOT - (_HEIGHT - _FOOT - 24) * (math.log10(value) - low) / (high - low)

    for tick in range(5):
        value = 10 ** (low + (high - low) * tick / 4)
        y = place(0, value)[1]
        draw.line((_LEFT, y, _WIDTH - 10, y), fill="#dddddd")
        draw.text((4, y - 6), f"{value:.3f}", fill="black")
    draw.line([place(i, value) for i, value in enumerate(points)], fill="#1f5fbf", width=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
