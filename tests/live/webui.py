"""A running WebUI over its API, with what the live tests compare: decoded pixels and infotexts."""

from __future__ import annotations

import base64
import io
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

URL = os.environ.get("STICKY_LIVE_URL", "").rstrip("/")
BARE_URL = os.environ.get("STICKY_LIVE_BARE_URL", "").rstrip("/")
SIZE = int(os.environ.get("STICKY_LIVE_SIZE", "64"))
STEPS = int(os.environ.get("STICKY_LIVE_STEPS", "4"))
MERGE = os.environ.get("STICKY_LIVE_MERGE", "").split()
LORA = os.environ.get("STICKY_LIVE_LORA", "")
LORA_FOLDER = os.environ.get("STICKY_LIVE_LORA_FOLDER", "")
STYLE = os.environ.get("STICKY_LIVE_STYLE", "")
EMBEDDING = os.environ.get("STICKY_LIVE_EMBEDDING", "")


@dataclass(frozen=True)
class Answer:
    """One job's pictures, as decoded arrays and as the bytes sent, and its infotexts."""

    pixels: list[np.ndarray]
    raw: list[str]
    infotexts: list[str]
    comments: str = ""
    info: dict[str, Any] = field(default_factory=dict)


class Refused(Exception):
    """The host answered with an error; `status` and the decoded `body`."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:300]}")
        self.status = status
        self.body = body


def call(path: str, body: Any = None, url: str = "") -> Any:
    """POST `body` as JSON, or GET without one; the decoded answer, or Refused."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request((url or URL) + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=900) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise Refused(error.code, error.read().decode(errors="replace")) from None


def job(payload: dict[str, Any], sticky: Any = None, url: str = "") -> Answer:
    """Run txt2img, or img2img where the payload has init_images, with the extension's dict where one is given."""
    payload = dict(payload)
    if sticky is not None:
        payload["alwayson_scripts"] = {**payload.get("alwayson_scripts", {}), "Sticky": {"args": [sticky]}}
    kind = "img2img" if "init_images" in payload else "txt2img"
    found = call(f"/sdapi/v1/{kind}", payload, url)
    info = json.loads(found["info"])
    return Answer([decoded(image) for image in found["images"]], found["images"], info["infotexts"], info=info)


def decoded(image: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image.split(",")[-1]))).convert("RGB"))


def encoded(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()
