"""The box ticked gives the pixels of the same negative typed by hand (must-hold 2), and off gives the bare host's."""

from __future__ import annotations

import numpy as np
import pytest

from tests.live.cases import STICKY, Case, base, cases
from tests.live.matrix import verdict
from tests.live.webui import BARE_URL, URL, job

CASES = cases() if URL else []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ticked_equals_by_hand(case: Case) -> None:
    assert verdict(case).startswith("identical")


@pytest.mark.bare
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_off_is_byte_identical_to_a_host_without_the_extension(case: Case) -> None:
    here, there = job(case.payload()), job(case.payload(), url=BARE_URL)
    assert here.raw == there.raw
    assert here.infotexts == there.infotexts
    assert here.info.keys() == there.info.keys()


def test_a_batch_of_different_prompts_gives_each_image_its_own_negative() -> None:
    """Prompt matrix makes one batch of `a cat` and `a cat, <66 words>`: with the terms, one and two chunks."""
    words = " ".join(["dog"] * 66)
    sticky = {**STICKY, "terms": "blurry, bad, ugly, awful, distorted, low quality"}
    matrix = {"script_name": "Prompt matrix", "script_args": [False, False, "positive", "comma", 0]}
    payload = {**base(), "batch_size": 2, "prompt": f"a cat| {words}"}
    together = job({**payload, **matrix}, sticky).pixels[-2:]
    alone = [job({**base(), "prompt": prompt}, sticky).pixels[0] for prompt in ("a cat", f"a cat, {words}")]
    noise = _batch_noise()
    for batched, single in zip(together, alone, strict=True):
        assert np.abs(batched.astype(int) - single).max() <= noise
    assert np.abs(alone[0].astype(int) - alone[1]).max() > noise


def _batch_noise() -> int:
    """What the host itself changes between a batch of two and a batch of one, at least 2/255."""
    one = job({**base(), "prompt": "a cat", "negative_prompt": "bad"}).pixels[0]
    two = job({**base(), "prompt": "a cat", "negative_prompt": "bad", "batch_size": 2}).pixels[0]
    return max(2, int(np.abs(one.astype(int) - two).max()))
