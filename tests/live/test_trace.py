"""No job leaves a trace in the next one (must-hold 7)."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from tests.live.cases import GUIDED, STICKY, base, picture
from tests.live.plots import axes, xyz
from tests.live.webui import Refused, call, encoded, job

PLAIN = {**base(), "prompt": "a cat", "negative_prompt": "ugly"}


def test_the_sticky_axes_are_listed_once() -> None:
    ours = [label for label in axes() if label.startswith("[Sticky]")]
    assert len(ours) == len(set(ours)) == len(call("/sticky/v1/schema")["properties"])


def test_xyz_cells_differ_and_equal_their_own_jobs() -> None:
    before = job(PLAIN)
    plot = xyz(("[Sticky] Placement of the terms", ["same chunk", "own chunk"]))
    grid = job({**PLAIN, **plot}, STICKY)
    same, own = (job(PLAIN, {**STICKY, "placement": placement}) for placement in ("same chunk", "own chunk"))
    cells = [pixels.tobytes() for pixels in grid.pixels]
    assert same.pixels[0].tobytes() in cells
    assert own.pixels[0].tobytes() in cells
    assert same.pixels[0].tobytes() != own.pixels[0].tobytes()
    assert job(PLAIN).raw == before.raw


def test_xyz_can_switch_it_on_and_off() -> None:
    grid = job({**PLAIN, **xyz(("[Sticky] Sticky negatives", ["false", "true"]))}, {"terms": STICKY["terms"]})
    off, on = job(PLAIN), job(PLAIN, STICKY)
    cells = [pixels.tobytes() for pixels in grid.pixels]
    assert off.pixels[0].tobytes() in cells
    assert on.pixels[0].tobytes() in cells
    assert sum("Sticky" in text for text in grid.infotexts[-2:]) == 1


def test_loopback_tracks_in_every_loop_and_leaves_nothing() -> None:
    before = job(PLAIN)
    payload = {**PLAIN, "init_images": [encoded(picture())], "denoising_strength": 0.7}
    loop = {"script_name": "Loopback", "script_args": [2, 0.7, "Linear", "None"]}
    typed = {**payload, **loop, "negative_prompt": "a cat, ugly, blurry, (bad:1.2)"}
    job(typed)  # A1111's first img2img after other jobs differs by itself: its encoder draws from the global RNG.
    ticked, by_hand = job({**payload, **loop}, STICKY), job(typed)
    assert [a.tobytes() for a in ticked.pixels] == [b.tobytes() for b in by_hand.pixels]
    assert job(PLAIN).raw == before.raw


def test_prompt_matrix_leaves_nothing() -> None:
    before = job(PLAIN)
    matrix = {"script_name": "Prompt matrix", "script_args": [False, False, "positive", "comma", 0]}
    job({**PLAIN, **matrix, "prompt": "a cat|red|big", "batch_size": 2}, STICKY)
    assert job(PLAIN).raw == before.raw


@pytest.mark.parametrize("fields", [STICKY, GUIDED], ids=["sticky", "guided"])
def test_an_interrupted_job_leaves_nothing(fields: dict[str, Any]) -> None:
    before = job(PLAIN)
    caught: list[Any] = []
    endless = {**PLAIN, "steps": 150, "n_iter": 1000}
    running = threading.Thread(target=lambda: caught.append(job(endless, fields)), daemon=True)
    running.start()
    _wait_for_a_step(running)
    call("/sdapi/v1/interrupt", {})
    running.join(120)
    assert caught, "the job went on after the interrupt"
    assert len(caught[0].raw) < endless["n_iter"]
    assert job(PLAIN).raw == before.raw


def _wait_for_a_step(running: threading.Thread) -> None:
    """Until the job samples: a host forgets an interrupt that comes before, and keeps the steps of the job before."""
    give_up = time.monotonic() + 120
    while running.is_alive() and time.monotonic() < give_up:
        at = call("/sdapi/v1/progress?skip_current_image=true")
        if at["progress"] > 0 and at["state"]["sampling_step"] > 0:
            return
        time.sleep(0.05)
    pytest.fail("the job did not begin to sample")


def test_an_old_payload_means_what_it_meant() -> None:
    """Slot 0 is the dict; a client that sends the panel's values by position still works."""
    by_name = job(PLAIN, STICKY)
    by_position = job(
        {**PLAIN, "alwayson_scripts": {"sticky": {"args": [{}, True, STICKY["terms"], "same chunk", 0, 1]}}}
    )
    assert by_position.raw == by_name.raw


def test_the_infotext_round_trips_through_png_info_and_the_infotext_field() -> None:
    sticky = {**STICKY, "terms": 'a "quoted", \\ back: <x>\n(y:1.2)', "placement": "own chunk", "start": 0.25}
    made = job({**PLAIN}, sticky)
    info = call("/sdapi/v1/png-info", {"image": "data:image/png;base64," + made.raw[0]})
    value = json.loads(info["parameters"]["Sticky"])
    assert value == {"v": 1, "enabled": True, **{key: sticky[key] for key in ("terms", "placement", "start")}}
    again = job({"infotext": made.infotexts[0], "styles": [], "save_images": False})
    assert again.pixels[0].tobytes() == made.pixels[0].tobytes()


def test_an_infotext_without_the_key_turns_it_off() -> None:
    made = job(PLAIN)
    again = job({"infotext": made.infotexts[0], "styles": [], "save_images": False})
    assert "Sticky" not in again.infotexts[0]
    assert again.pixels[0].tobytes() == made.pixels[0].tobytes()


@pytest.mark.parametrize("scale", [1, 1.0])
def test_cfg_1_says_that_a_negative_has_no_effect(scale: float) -> None:
    found = call("/sticky/v1/preview", {"prompt": "a cat", "cfg_scale": scale})
    assert any("CFG is 1" in words for words in found["warnings"])
    job({**PLAIN, "cfg_scale": scale}, STICKY)


def test_a_host_error_leaves_nothing() -> None:
    before = job(PLAIN)
    with pytest.raises(Refused):
        job({**PLAIN, "script_name": "no such script"}, STICKY)
    assert job(PLAIN).raw == before.raw
