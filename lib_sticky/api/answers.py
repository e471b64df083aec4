"""What all guarded routes share: who may ask, what a body may hold, and refusals that name the field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from secrets import compare_digest
from typing import Any

from fastapi import Depends, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from lib_sticky.config import ConfigError
from lib_sticky.option import nearest, shown


def guarded(accounts: Mapping[str, str]) -> dict[str, Any]:
    """What a route is declared with so that it asks for a name and password of `accounts`, if there are any."""
    return {"dependencies": [Depends(_guard(accounts))] if accounts else []}


def or_422(answer: Callable[[], Any]) -> Any:
    """What `answer` returns; a ConfigError becomes the answer 422 with its words."""
    try:
        return answer()
    except ConfigError as error:
        raise HTTPException(422, str(error)) from None


def known_fields(body: Any, names: Collection[str], what: str) -> dict[str, Any]:
    """A request's JSON object; ConfigError names what is no field of `what`, and the nearest that is."""
    if not isinstance(body, dict):
        raise ConfigError("(whole body)", f"expected an object with {', '.join(names)}")
    for name in body:
        if name not in names:
            raise ConfigError(shown(name), f"no such field of {what}; the nearest is {nearest(name, names)!r}")
    return dict(body)


def _guard(accounts: Mapping[str, str]) -> Callable[..., None]:
    def check(credentials: HTTPBasicCredentials = Depends(HTTPBasic())) -> None:  # noqa: B008
        known = accounts.get(credentials.username, "").encode()
        if not known or not compare_digest(credentials.password.encode(), known):
            raise HTTPException(401, "Incorrect username or password", headers={"WWW-Authenticate": "Basic"})

    return check
