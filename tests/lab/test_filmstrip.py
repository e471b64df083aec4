"""Step pictures from latents whose colours are known by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lib_sticky.lab.filmstrip import ROWS, STEPS, Frame, chosen_steps, coloured, filmstrip, fit_colours, heat
from lib_sticky.lab.labelled import labelled

MAP = np.array([[0.1, 0.0, 0.02], [0.0, 0.12, 0.0], [-0.05, 0.0, 0.1], [0.03, 0.03, 0.03], [0.5, 0.4, 0.6]])


def made(rng: np.random.Generator) -> tuple[np.ndarray, Image.Image]:
    """Latents and the picture, 4 times as large, that MAP makes of them."""
    latent = rng.normal(size=(4, 8, 8))
    small = np.clip(latent.reshape(4, -1).T @ MAP[:4] + MAP[4], 0, 1).reshape(8, 8, 3)
    return latent, Image.fromarray(np.round(np.kron(small, np.ones((4, 4, 1))) * 255).astype(np.uint8))


def test_the_map_from_latents_to_colours_is_found():
    pairs = [made(np.random.default_rng(seed)) for seed in range(4)]
    found = fit_colours([latent for latent, _ in pairs], [picture for _, picture in pairs])
    assert np.abs(found - MAP).max() < 0.01
    latent, picture = made(np.random.default_rng(9))
    shown = np.asarray(coloured(latent, found), dtype=float)
    assert np.abs(shown - np.asarray(picture.resize((8, 8), Image.Resampling.BOX), dtype=float)).max() < 6


def test_latents_that_say_nothing_give_the_mean_colour():
    picture = Image.new("RGB", (8, 8), (10, 200, 90))
    found = fit_colours([np.zeros((4, 2, 2))], [picture])
    assert np.asarray(coloured(np.zeros((4, 2, 2)), found))[0, 0].tolist() == [10, 200, 90]
    with pytest.raises(ValueError, match="no decoded picture"):
        fit_colours([], [])


@given(st.integers(1, 200))
def test_steps_run_from_first_to_last(steps: int):
    found = chosen_steps(steps)
    assert found[0] == 1 and found[-1] == steps
    assert len(found) == min(steps, STEPS) and list(found) == sorted(found)


def test_heat_is_dark_at_zero_and_bright_at_its_peak():
    difference = np.zeros((4, 1, 3))
    difference[:, 0, 1], difference[0, 0, 2] = 3.0, 3.0
    picture, peak = heat(difference)
    values = np.asarray(picture)[0].sum(axis=-1)
    assert peak == 3.0
    assert values[0] < 10 < values[2] < values[1]
    assert heat(np.zeros((4, 2, 2)))[1] == 0.0


def frame(step: int, uncond: np.ndarray | None) -> Frame:
    rng = np.random.default_rng(step)
    return Frame(step, 14.6 / step, rng.normal(size=(4, 8, 8)), uncond, rng.normal(size=(4, 8, 8)))


def test_a_strip_has_a_row_for_each_prediction_and_a_column_for_each_step():
    frames = [frame(1, np.ones((4, 8, 8))), frame(5, None), frame(9, np.zeros((4, 8, 8)))]
    strip = filmstrip(frames, lambda latent: coloured(latent, MAP), "title")
    alone = filmstrip(frames[:1], lambda latent: coloured(latent, MAP), "title")
    assert strip.width - alone.width == 2 * (96 + 6)
    assert strip.height > len(ROWS) * 96


def test_labelled_keeps_pixels_of_small_pictures_and_averages_large_ones():
    small = Image.new("RGB", (16, 16), (200, 0, 0))
    sheet = labelled("t", ["a", "b"], ["seed 1"], [[small, small]])
    count = (np.asarray(sheet) == (200, 0, 0)).all(axis=-1).sum()
    assert count == 2 * 96 * 96
    large = Image.new("RGB", (1024, 512), (0, 90, 0))
    assert (np.asarray(labelled("t", ["a"], ["r"], [[large]])) == (0, 90, 0)).all(axis=-1).sum() == 512 * 256
    with pytest.raises(ValueError, match="at least one picture"):
        labelled("t", [], [], [])
