"""From a pasted infotext back to the panel."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from lib_sticky.config import DEFAULTS, SWITCHES, Config, ConfigError
from lib_sticky.infotext import KEY, load
from lib_sticky.peer_infotext import translated
from lib_sticky.webui.panel import Panel
from lib_sticky.webui.words import lines


def paste_fields(
    panel: Panel, installed: Callable[[], Collection[str]] = tuple
) -> list[tuple[Any, Callable[[Mapping[str, Any]], Any]]]:
    """The (component, read) pairs that both hosts take as `infotext_fields`.

    installed: the titles of the host's scripts; what those paste themselves is left to them.
    Plain values, never gr.update: Forge's API cannot tell its own update type from A1111's (modules/api/api.py:404).
    """
    pairs = [(component, _reader(name, installed)) for name, component in panel.fields.items()]
    return pairs if panel.pasted is None else [*pairs, (panel.pasted, _notes(installed))]


def _reader(name: str, installed: Callable[[], Collection[str]]) -> Callable[[Mapping[str, Any]], Any]:
    def read(params: Mapping[str, Any]) -> Any:
        config = pasted(params)
        if config is not None:
            return getattr(config, name)
        # A picture made without the extension pastes as off; how things are done stays as the user had it.
        return translated(params, installed()).fields.get(name, DEFAULTS[name] if name in SWITCHES else None)

    return read


def _notes(installed: Callable[[], Collection[str]]) -> Callable[[Mapping[str, Any]], str]:
    def read(params: Mapping[str, Any]) -> str:
        notes = [] if pasted(params) else translated(params, installed()).notes
        return f"<div class='sticky-preview'>{lines('sticky-count', notes)}</div>" if notes else ""

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
