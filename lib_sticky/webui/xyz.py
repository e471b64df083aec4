"""X/Y/Z plot axes, one for each field of the config."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from lib_sticky.config import DEFAULTS, OPTIONS, ConfigError
from lib_sticky.hosts.job import OVERRIDES

PREFIX = "[Sticky] "
_GRID = "xyz_grid.py"


def add_axes(scripts_data: list[Any]) -> None:
    """Append the axes to the host's X/Y/Z plot script; does nothing without one, or when they are there already."""
    if grid := grid_without(scripts_data, PREFIX):
        grid.axis_options.extend(_axis(grid.AxisOption, name) for name in DEFAULTS)


def grid_without(scripts_data: list[Any], prefix: str) -> Any:
    """The host's X/Y/Z plot module, or None where there is none or it has axes of this prefix already."""
    grid = next((data.module for data in scripts_data if os.path.basename(data.path) == _GRID), None)
    options = getattr(grid, "axis_options", None)
    if options is None or any(option.label.startswith(prefix) for option in options):
        return None
    return grid


def _axis(make: Callable[..., Any], name: str) -> Any:
    about, default = OPTIONS[name], DEFAULTS[name]
    if isinstance(default, bool):
        return make(PREFIX + about.label, _truth(name), _apply(name), choices=lambda: ["true", "false"])
    if about.choices:
        return make(PREFIX + about.label, str, _apply(name), choices=lambda: list(about.choices))
    return make(PREFIX + about.label, type(default), _apply(name))


def _truth(name: str) -> Callable[[str], bool]:
    def truth(text: str) -> bool:
        if text.strip().lower() not in ("true", "false"):
            raise ConfigError(name, f"{text!r} is not true or false")
        return text.strip().lower() == "true"

    return truth


def _apply(name: str) -> Callable[[Any, Any, Any], None]:
    def apply(p: Any, value: Any, _values: Any) -> None:
        # A new dict: cells are shallow copies of one p and would otherwise share it.
        setattr(p, OVERRIDES, {**getattr(p, OVERRIDES, {}), name: value})

    return apply
