"""From a pasted infotext back to the panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lib_sticky.config import DEFAULTS, SWITCHES, Config, ConfigError
from lib_sticky.infotext import KEY, load
from lib_sticky.webui.panel import Panel


def paste_fields(panel: Panel) -> list[tuple[Any, Callable[[Mapping[str, Any]], Any]]]:
    """The (component, read) pairs that both hosts take as `infotext_fields`.

    Plain values, never gr.update: Forge's API cannot tell its own update type from A1111's (modules/api/api.py:404).
    """
    return [(component, _reader(name)) for name, component in panel.fields.items()]


def _reader(name: str) -> Callable[[Mapping[str, Any]], Any]:
    def read(params: Mapping[str, Any]) -> Any:
        config = pasted(params)
        if config is None:
            # A picture made without the extension pastes as off; how things are done stays as the user had it.
            return DEFAULTS[name] if name in SWITCHES else None
        return getattr(config, name)

    return read


def pasted(params: Mapping[str, Any]) -> Config | None:
    """The config in parsed infotext parameters; None where there is none or it cannot be read."""
    value = params.get(KEY)
    if value is None:
        return None
    try:
        return load(str(value))
    except ConfigError:
        return None
