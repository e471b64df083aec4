"""REST routes under /sticky/v1: what the API takes, and the negative that a config would make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import Body, FastAPI

from lib_sticky import __version__
from lib_sticky.api.answers import or_422
from lib_sticky.api.expand import expanded
from lib_sticky.config import Config, ConfigError, parse, schema
from lib_sticky.hosts.base import Host
from lib_sticky.prompt.chunks import count_chunks
from lib_sticky.prompt.negative import tracked_text
from lib_sticky.prompt.packs import PACKS
from lib_sticky.prompt.warnings import warnings

PREFIX = "/sticky/v1"


@dataclass(frozen=True)
class _Positive:
    positive: tuple[str, ...]


def add(app: FastAPI, host: Host) -> None:
    """Mount the routes on the host's app."""

    @app.get(f"{PREFIX}/version")
    def version() -> dict[str, str]:
        return {"version": __version__, "host": host.name, "host_version": host.version()}

    @app.get(f"{PREFIX}/schema")
    def show_schema() -> dict[str, Any]:
        return schema()

    @app.get(f"{PREFIX}/packs")
    def packs() -> dict[str, str]:
        return dict(PACKS)

    @app.post(f"{PREFIX}/preview")
    def preview(body: Any = Body(...)) -> dict[str, Any]:  # noqa: B008 (FastAPI's own form)
        return or_422(lambda: previewed(body, host))

    @app.post(f"{PREFIX}/expand")
    def expand(body: Any = Body(...)) -> dict[str, Any]:  # noqa: B008 (FastAPI's own form)
        return or_422(lambda: written(body))


def written(body: Any) -> dict[str, Any]:
    """The plain text for what `previewed` takes: prompt, negative_prompt, the fields to set in sticky, and notes."""
    prompt, negative, scale, config = _asked(body)
    return asdict(expanded(config, prompt, negative, scale))


def _asked(body: Any) -> tuple[str, str, float, Config]:
    """What a body asks about: prompt, negative prompt, CFG scale, and the config as if it were on."""
    if not isinstance(body, dict):
        raise ConfigError("(whole value)", "expected an object with prompt, negative_prompt, cfg_scale and sticky")
    prompt, negative = _text(body, "prompt"), _text(body, "negative_prompt")
    scale = body.get("cfg_scale", 7.0)
    if isinstance(scale, bool) or not isinstance(scale, (int, float)):
        raise ConfigError("cfg_scale", f"{scale!r} is not a number")
    return prompt, negative, float(scale), parse({**_fields(body), "enabled": True})


def previewed(body: Any, host: Host) -> dict[str, Any]:
    """The negative of `prompt`, `negative_prompt`, `cfg_scale` and the config fields in `sticky`, as if it were on.

    Returns negative, tokens and chunks (None while no model is loaded) and warnings. ConfigError names a bad field.
    """
    prompt, negative, scale, config = _asked(body)
    text = tracked_text(config, prompt, negative)
    counted = _counted(text, host.count_tokens)
    return {
        "negative": text,
        "tokens": counted and counted[0],
        "chunks": counted and counted[1],
        "warnings": warnings(config, _Positive((prompt,)), host.facts(scale)),
    }


def _fields(body: dict[str, Any]) -> dict[str, Any]:
    fields = body.get("sticky", {})
    if not isinstance(fields, dict):
        raise ConfigError("sticky", "expected an object of field names")
    return fields


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise ConfigError(name, f"{value!r} is not text")
    return value


def _counted(text: str, count_tokens: Callable[[str], int | None]) -> tuple[int, int] | None:
    if count_tokens("") is None:
        return None
    found = count_chunks(text, lambda piece: count_tokens(piece) or 0)
    return found.tokens, found.chunks
