"""The shipped checkpoint in a running host, against the studio: one file, one seed, one picture.

The host must list the checkpoint: link `sticky-demo.safetensors` and `.yaml` into its models/Stable-diffusion.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from lib_sticky.config import Config
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.studio.job import SAMPLER_NAMES, Job
from lib_sticky.studio.making import Made, make
from lib_sticky.studio.models import chosen, open_model
from tests.live.webui import call, job

CHECKPOINT = "sticky-demo"
LARGEST = 2
"""In steps of 1/255: the host does the same sums in its own order, on another torch."""


@pytest.fixture(scope="module")
def studio() -> Diffusers:
    return open_model(chosen(""))


@pytest.fixture(scope="module", autouse=True)
def loaded() -> Iterator[None]:
    names = [found["model_name"] for found in call("/sdapi/v1/sd-models")]
    if CHECKPOINT not in names:
        pytest.skip(f"the host has no checkpoint {CHECKPOINT}")
    before = call("/sdapi/v1/options")["sd_model_checkpoint"]
    call("/sdapi/v1/options", {"sd_model_checkpoint": CHECKPOINT})
    yield
    call("/sdapi/v1/options", {"sd_model_checkpoint": before})


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("sampler", SAMPLER_NAMES)
def test_the_host_makes_the_studios_picture(studio: Diffusers, sampler: str, sticky: bool) -> None:
    config = Config(enabled=sticky, terms="blurry, noisy")
    mine = Job("a (red:1.2) heart on a white background", "cropped", sampler, cfg=7.0, seed=11, config=config,
               width=128, height=128)  # fmt: skip
    made = next(found for found in make(studio, mine, CHECKPOINT) if isinstance(found, Made))
    payload = {
        "prompt": mine.prompt, "negative_prompt": mine.negative, "sampler_name": sampler, "scheduler": "Automatic",
        "steps": mine.steps, "cfg_scale": mine.cfg, "seed": mine.seed, "width": 128, "height": 128,
        "save_images": False,
    }  # fmt: skip
    theirs = job(payload, {"enabled": True, "terms": config.terms} if sticky else None).pixels[0].astype(int)
    ours = np.asarray(made.pictures[0]).astype(int)
    assert theirs.std() > 10
    assert np.abs(theirs - ours).max() <= LARGEST
