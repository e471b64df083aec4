"""A value by sampling step, one line an arm, as an SVG that takes its ink from the page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT = 640, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 10, 30
_COLOURS = ("#7f868d", "#009e73", "#e06c00", "#3b8fd6", "#c0569a", "#b59a00")
"""Told apart by people with any colour vision, on white and on black (after Okabe & Ito 2008)."""
_DASHES = ("", "6 3", "", "2 3", "10 3 2 3", "4 2")


def step_chart(lines: Mapping[str, Sequence[float]], about: str) -> str:
    """The chart and its legend; all lines have the same number of steps. ValueError without a value."""
    most = max((max(values, default=0.0) for values in lines.values()), default=0.0)
    steps = max((len(values) for values in lines.values()), default=0)
    if not steps:
        raise ValueError("a chart needs at least one line with a step")
    drawn = "".join(_line(index, values, most) for index, values in enumerate(lines.values()))
    keys = "".join(_key(index, name) for index, name in enumerate(lines))
    ticks = "".join(_tick(step, steps) for step in sorted({1, *range(5, steps, 5), steps}))
    ends = "".join(_level(value, most) for value in (0.0, most / 2, most))
    return (
        f'<figure class=chart><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="{html.escape(about)}">'
        f"{ends}{ticks}{drawn}</svg><figcaption>{html.escape(about)}<br>{keys}</figcaption></figure>"
    )


def _x(step: int, steps: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (step - 1) / max(1, steps - 1)


def _y(value: float, most: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * (value / most if most else 0.0)


def _line(index: int, values: Sequence[float], most: float) -> str:
    points = " ".join(f"{_x(step, len(values)):.1f},{_y(value, most):.1f}" for step, value in enumerate(values, 1))
    return f'<polyline points="{points}" fill="none" stroke-width="2" {_stroke(index)}/>'


def _key(index: int, name: str) -> str:
    line = f'<svg class=key viewBox="0 0 28 8"><path d="M0 4H28" stroke-width="2.5" {_stroke(index)}/></svg>'
    return f"<span>{line} {html.escape(name)}</span> "


def _stroke(index: int) -> str:
    dash = _DASHES[index % len(_DASHES)]
    return f'stroke="{_COLOURS[index % len(_COLOURS)]}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def _tick(step: int, steps: int) -> str:
    return f'<text x="{_x(step, steps):.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{step}</text>'


def _level(value: float, most: float) -> str:
    y = _y(value, most)
    return (
        f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.2g}</text>'
    )
