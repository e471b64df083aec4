"""The WebUI's own REST API: for whom it is served, and called from inside, exactly as from outside."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from typing import Any

from lib_sticky.config import ConfigError
from lib_sticky.option import nearest

_PATH = "/sdapi/v1/txt2img"


def accounts() -> Mapping[str, str]:
    """The names and passwords of `--api-auth`, as the WebUI reads them; empty without the flag."""
    from modules import shared

    told = shared.cmd_opts.api_auth
    return dict(account.split(":") for account in told.split(",")) if told else {}


def serves_api() -> bool:
    """Whether the user asked this WebUI for an API."""
    from modules import shared

    return bool(shared.cmd_opts.api or shared.cmd_opts.nowebui)


class HostApi:
    """txt2img of the API that is mounted on `app`."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def request(self, payload: Mapping[str, Any]) -> Any:
        """The host's own form of a request. ConfigError that names the first bad field."""
        model = self._model()
        known = getattr(model, "model_fields", None) or model.__fields__
        for name in payload:
            if name not in known:
                raise ConfigError(name, f"no such field of txt2img; the nearest is {nearest(name, known)!r}")
        try:
            request = model(**payload)
        except ValueError as error:
            first = error.errors()[0]  # type: ignore[attr-defined]
            raise ConfigError(str(first["loc"][0]), str(first["msg"])) from None
        self._check(request)
        return request

    @staticmethod
    def _check(request: Any) -> None:
        """What the host itself would let pass, and then fail on or replace."""
        from modules import sd_samplers

        name = request.sampler_name or request.sampler_index
        if name and str(name).lower() not in sd_samplers.samplers_map:
            raise ConfigError("sampler_name", f"the WebUI has no sampler {name!r}")
        for field in ("width", "height"):
            value = getattr(request, field)
            if value < 8 or value % 8:
                raise ConfigError(field, f"{value} is no multiple of 8")

    def txt2img(self, request: Any) -> None:
        """Make the pictures; returns when they are there."""
        self._endpoint()(request)

    def _endpoint(self) -> Callable[..., Any]:
        found = (route.endpoint for route in self._app.routes if getattr(route, "path", "") == _PATH)
        endpoint = next(found, None)
        if endpoint is None:
            raise ConfigError("(api)", "this WebUI serves no API; start it with --api")
        return endpoint

    def _model(self) -> Any:
        hints = typing.get_type_hints(self._endpoint())
        return next(kind for name, kind in hints.items() if name != "return")
