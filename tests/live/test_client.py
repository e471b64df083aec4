"""The public API client from PyPI, as an outside program uses it."""

from __future__ import annotations

from urllib.parse import urlparse

import numpy as np
import pytest

from tests.live.cases import STICKY, base
from tests.live.webui import URL, job

webuiapi = pytest.importorskip("webuiapi")


def test_the_client_drives_the_extension_by_name() -> None:
    address = urlparse(URL)
    client = webuiapi.WebUIApi(host=address.hostname, port=address.port)
    payload = {**base(), "prompt": "a cat"}
    picture = client.txt2img(
        prompt="a cat", seed=payload["seed"], steps=payload["steps"], width=payload["width"], height=payload["height"],
        cfg_scale=payload["cfg_scale"], sampler_name="Euler", scheduler="Automatic", save_images=False,
        alwayson_scripts={"Sticky": {"args": [STICKY]}},
    ).image  # fmt: skip
    assert np.array_equal(np.asarray(picture.convert("RGB")), job(payload, STICKY).pixels[0])
