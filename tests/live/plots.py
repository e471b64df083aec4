"""The host's X/Y/Z plot, asked for over its API."""

from __future__ import annotations

from typing import Any

from tests.live.webui import call


def script(name: str) -> dict[str, Any]:
    """What the host tells of a txt2img script."""
    found = call("/sdapi/v1/script-info")
    return next(script for script in found if script["name"] == name and not script["is_img2img"])


def axes() -> list[str]:
    """What the X axis can be."""
    return script("x/y/z plot")["args"][0]["choices"]


def xyz(x: tuple[str, list[str]], y: tuple[str, list[str]] | None = None) -> dict[str, Any]:
    """A plot over one or two axes, each a label and its values; everything else at its default."""
    told = script("x/y/z plot")["args"]
    args: list[Any] = [argument["value"] for argument in told]
    for place, (label, values) in ((0, x), (3, y or ("Nothing", []))):
        args[place : place + 3] = axes().index(label), ",".join(values), values
    args[6] = 0
    args[[argument["label"] for argument in told].index("Include Sub Images")] = True  # The cells beside the grid.
    return {"script_name": "x/y/z plot", "script_args": args}
