"""The X/Y/Z plot's merge axes on a running WebUI: each cell is the picture of that merge, and nothing stays behind.

STICKY_LIVE_MERGE names two checkpoints of one layout inside the WebUI's model folder, apart by a space.
"""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests.live.browser import until
from tests.live.cases import base
from tests.live.plots import xyz
from tests.live.webui import MERGE, SIZE, STEPS, Refused, call, job

MODELS = [f"{name}.safetensors" for name in MERGE]
UNSAVED, KEPT = "sticky-unsaved/", 2
"""Where the last cells' merges stay until the host starts anew, and how many of them."""
SLOW = 300
"""Seconds for a merge of full-size files on a busy machine."""

pytestmark = pytest.mark.skipif(len(MODELS) != 2, reason="names two checkpoints: STICKY_LIVE_MERGE='a b'")

PLAIN: dict[str, Any] = {**base(), "prompt": "a cat", "steps": STEPS, "width": SIZE, "height": SIZE, "seed": 7}


def with_model(name: str) -> dict[str, Any]:
    return {**PLAIN, "override_settings": {"sd_model_checkpoint": name}}


def listed() -> set[str]:
    # The host's own refresh route would choose the file of --ckpt, where there is one.
    return {model["title"].split(" [")[0] for model in call("/sdapi/v1/sd-models")}


@pytest.fixture(scope="module")
def merged() -> str:
    """The same merge, made by its own route and kept."""
    name = f"axes-{secrets.token_hex(3)}"
    recipe = {"schema": 1, "root": {"merge": "weighted_sum", "inputs": MODELS, "params": {"alpha": 0.3}}}
    started = call("/sticky/v1/merge", {"recipe": recipe, "name": name})["id"]
    until(lambda: call(f"/sticky/v1/merge/{started}")["state"], "done", SLOW)
    return f"{name}.safetensors"


def test_every_cell_is_the_picture_of_its_merge(merged: str) -> None:
    # The other one first: with --ckpt, a Forge whose page was opened holds that checkpoint chosen and another loaded.
    other, first, wanted = (job(with_model(name)).pixels[0].tobytes() for name in (*reversed(MODELS), merged))
    before = listed()
    plot = xyz(("[Sticky merge] With", [MODELS[1]]), ("[Sticky merge] Alpha", ["0.3", "1"]))
    grid = job({**with_model(MODELS[0]), **plot})
    cells = [pixels.tobytes() for pixels in grid.pixels]
    assert wanted in cells
    assert other in cells
    assert first not in cells
    assert any(f"{MODELS[0]} with {MODELS[1]}, alpha 0.3" in text for text in grid.infotexts)
    left = listed() - before
    assert len(left) <= KEPT
    assert all(name.replace("\\", "/").startswith(UNSAVED) for name in left)
    assert job(with_model(MODELS[0])).pixels[0].tobytes() == first


def test_alpha_alone_and_an_unknown_checkpoint_are_refused() -> None:
    before = job(with_model(MODELS[0])).raw
    for plot, words in (
        (xyz(("[Sticky merge] Alpha", ["0.3"])), "choose the other checkpoint"),
        (xyz(("[Sticky merge] With", ["no-such-file.safetensors"])), "there is no checkpoint"),
    ):
        with pytest.raises(Refused) as refused:
            job({**with_model(MODELS[0]), **plot})
        assert words in refused.value.body
    assert job(with_model(MODELS[0])).raw == before
