"""Every picture metric on pictures whose value is known by construction."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lib_sticky.lab import burn, colour, content, contrast, frequency, pictures
from lib_sticky.lab.metrics import METRICS, measure
from lib_sticky.lab.planes import Planes


def flat(red: float, green: float, blue: float, size: int = 32) -> np.ndarray:
    return np.full((size, size, 3), [red, green, blue], dtype=np.float64)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(values, dtype=np.float64)[..., None], 3, axis=2)


def noise(sigma: float, size: int = 128, seed: int = 0) -> np.ndarray:
    return grey(np.clip(0.5 + np.random.default_rng(seed).normal(size=(size, size)) * sigma, 0, 1))


def wave(cycles: float, size: int = 64) -> np.ndarray:
    return grey(np.tile(0.5 + 0.4 * np.sin(2 * np.pi * cycles * np.arange(size) / size), (size, 1)))


def half(left: list[float], right: list[float], size: int = 32) -> np.ndarray:
    picture = flat(*left, size)
    picture[:, size // 2 :] = right
    return picture


def test_forms_of_one_picture_are_one():
    eight_bit = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(pictures.rgb(Image.fromarray(eight_bit)), pictures.rgb(eight_bit))
    assert np.array_equal(pictures.rgb(eight_bit / 255), pictures.rgb(eight_bit))
    assert pictures.rgb(np.zeros((4, 4))).shape == (4, 4, 3)
    assert pictures.rgb(Image.new("L", (3, 2), 255)).tolist() == np.ones((2, 3, 3)).tolist()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((4, 4, 4)), "shape"),
        (np.zeros((0, 4, 3)), "shape"),
        (np.full((4, 4, 3), 1.5), "from 1.5 to 1.5; give 0 to 1"),
        (np.full((4, 4, 3), np.nan), "nan"),
    ],
)
def test_what_is_no_picture_is_refused(values: np.ndarray, words: str):
    with pytest.raises(ValueError, match=words):
        pictures.rgb(values)


def test_luma_and_lab_of_known_colours():
    assert pictures.luma(flat(1, 0, 0)).max() == pytest.approx(0.2126)
    for colour_, expected in [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),  # the usual table for sRGB primaries
        ((0, 0, 1), (32.30, 79.19, -107.86)),
    ]:
        assert pictures.lab(pictures.eight_bit(flat(*colour_, 2)))[0, 0] == pytest.approx(expected, abs=0.05)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000))
def test_windows_reference(height: int, width: int, seed: int):
    values = np.random.default_rng(seed).normal(size=(height, width))
    h, w = min(7, height), min(7, width)
    blocks = np.lib.stride_tricks.sliding_window_view(values, (h, w))
    assert pictures.window_mean(values, 7) == pytest.approx(blocks.mean(axis=(2, 3)), abs=1e-9)
    assert pictures.window_deviation(values, 7) == pytest.approx(blocks.std(axis=(2, 3)), abs=1e-6)


def test_gradients_of_a_ramp():
    down, across = pictures.gradients(np.add.outer(np.arange(6) * 0.5, np.arange(8) * 2.0))
    assert np.allclose(down, 0.5)
    assert np.allclose(across, 2.0)


def test_clipping_counts_pixels():
    picture = flat(0.5, 0.5, 0.5, 10)
    picture[0, :5] = [1, 0.5, 0.5]
    picture[1, :3] = 1.0
    picture[2, :2] = [0.5, 0, 0.5]
    picture[3, :1] = 0.0
    assert burn.clipped_high(Planes.of(picture)) == 0.08
    assert burn.blown_highlights(Planes.of(picture)) == 0.03
    assert burn.clipped_low(Planes.of(picture)) == 0.03
    assert burn.crushed_blacks(Planes.of(picture)) == 0.01
    assert burn.clipped_high(Planes.of(np.full((4, 4, 3), 253 / 255))) == 0.0
    assert burn.clipped_high(Planes.of(np.full((4, 4, 3), 254 / 255))) == 1.0


@given(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1)))
def test_saturation_of_one_colour_is_hsvs(hsv: tuple[float, float, float]):
    picture = flat(*colorsys.hsv_to_rgb(*hsv), 3)
    assert burn.saturation(Planes.of(picture)) == pytest.approx(hsv[1], abs=1e-6)
    assert burn.saturation_p95(Planes.of(picture)) == pytest.approx(hsv[1], abs=1e-6)


def test_saturation_is_weighted_by_value():
    picture = half([1.0, 0.0, 0.0], [0.25, 0.25, 0.25])
    assert burn.saturation(Planes.of(picture)) == pytest.approx(0.8)
    assert burn.saturation_p95(Planes.of(picture)) == 1.0
    dim = np.full((10, 10, 3), 1.0)
    dim[0, :4] = [1.0, 0.0, 0.0]  # 4 % of the value
    assert burn.saturation_p95(Planes.of(dim)) == 0.0
    assert burn.saturation(Planes.of(flat(0, 0, 0))) == burn.saturation_p95(Planes.of(flat(0, 0, 0))) == 0.0


def test_chroma():
    assert burn.chroma_p95(Planes.of(flat(0.4, 0.4, 0.4))) == pytest.approx(0, abs=1e-3)
    assert burn.chroma_p95(Planes.of(flat(1, 0, 0))) == pytest.approx(math.hypot(80.09, 67.20), abs=0.1)


def test_colourfulness_by_hand():
    assert colour.colourfulness(Planes.of(flat(0.3, 0.3, 0.3))) == 0.0
    assert colour.colourfulness(Planes.of(flat(1, 0, 0))) == pytest.approx(0.3 * math.hypot(1, 0.5))
    # Red and green halves: rg is 1 and -1 (variance 1, mean 0), yb is 0.5 on both.
    assert colour.colourfulness(Planes.of(half([1, 0, 0], [0, 1, 0]))) == pytest.approx(1 + 0.3 * 0.5)


def test_colour_counts():
    assert colour.colour_count(Planes.of(flat(0.2, 0.4, 0.9))) == pytest.approx(1)
    assert colour.colour_count(Planes.of(half([1, 0, 0], [0, 0, 1]))) == pytest.approx(2)
    quarter = half([1, 0, 0], [0, 0, 1])
    quarter[:16, :16] = [0, 1, 0]
    quarter[:16, 16:] = [1, 1, 1]
    assert colour.colour_count(Planes.of(quarter)) == pytest.approx(4)
    assert colour.distinct_colours(Planes.of(quarter)) == 4 / 1024
    every = np.arange(100 * 3, dtype=np.uint8).reshape(10, 10, 3)
    assert colour.distinct_colours(Planes.of(every)) == 1.0


def test_histogram_sums_to_one():
    found = colour.histogram(half([0, 0.5, 1], [0, 0.5, 0]), 4)
    assert found.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0.5, 0, 0, 0.5]]


def test_contrast_by_hand():
    picture = half([0.2] * 3, [0.8] * 3)
    assert contrast.contrast(Planes.of(picture)) == pytest.approx(0.3)
    assert contrast.tonal_range(Planes.of(picture)) == pytest.approx(0.6)
    assert contrast.spread(Planes.of(picture)) == pytest.approx(0.3)
    board = grey(np.indices((28, 28)).sum(axis=0) % 2 * 0.5)
    assert contrast.local_contrast(Planes.of(board)) == pytest.approx(math.sqrt(24 * 25) / 49 * 0.5)  # 24 and 25 of 49
    assert contrast.local_contrast(Planes.of(flat(0.3, 0.3, 0.3))) == pytest.approx(0, abs=1e-6)


def test_blank_pictures_are_called_blank():
    assert contrast.is_blank(Planes.of(flat(0.5, 0.5, 0.5)), 0.05)
    assert not contrast.is_blank(Planes.of(half([0.2] * 3, [0.8] * 3)), 0.05)


def test_high_frequencies_are_those_above_half_nyquist():
    assert frequency.high_frequency_share(Planes.of(wave(8))) < 0.001
    assert frequency.high_frequency_share(Planes.of(wave(24))) > 0.999
    assert frequency.high_frequency_share(Planes.of(flat(0.5, 0.5, 0.5))) == 0.0
    # White noise fills the square of frequencies of side 1; the circle of radius 1/4 in it is low.
    assert frequency.high_frequency_share(Planes.of(noise(0.1))) == pytest.approx(1 - math.pi / 16, abs=0.02)


@pytest.mark.parametrize("slope", [-3.0, -2.0, -1.0, 0.0])
def test_spectral_slope_of_made_noise(slope: float):
    size, rng = 256, np.random.default_rng(1)
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    radius[0, 0] = 1
    shaped = np.fft.ifft2(np.fft.fft2(rng.normal(size=(size, size))) * radius ** (slope / 2)).real
    shaped = (shaped - shaped.min()) / np.ptp(shaped)
    assert frequency.spectral_slope(Planes.of(grey(shaped))) == pytest.approx(slope, abs=0.15)


def test_spectral_slope_without_detail():
    assert frequency.spectral_slope(Planes.of(flat(0.5, 0.5, 0.5))) == 0.0
    assert frequency.spectral_slope(Planes.of(noise(0.1, 8))) == 0.0


def test_sharpness_by_hand():
    board = grey(np.indices((10, 10)).sum(axis=0) % 2)
    assert frequency.sharpness(Planes.of(board)) == pytest.approx(16)  # the Laplacian is 4 and -4
    ramp = grey(np.tile(np.linspace(0, 1, 20), (20, 1)))
    assert frequency.sharpness(Planes.of(ramp)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("sigma", [0.01, 0.05, 0.1])
def test_noise_is_measured(sigma: float):
    ramp = grey(np.tile(np.linspace(0.3, 0.7, 256), (256, 1)))
    noisy = np.clip(ramp + np.random.default_rng(0).normal(size=(256, 256, 1)) * sigma, 0, 1)
    assert frequency.noise(Planes.of(noisy)) == pytest.approx(sigma, rel=0.03)
    assert frequency.noise(Planes.of(ramp)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("over", [0.0, 0.1, 0.25])
def test_halo_is_the_overshoot(over: float):
    row = np.where(np.arange(40) < 20, 0.3, 0.7)
    row[18], row[21] = 0.3 - over * 0.4, 0.7 + over * 0.4
    picture = grey(np.tile(row, (12, 1)))
    assert frequency.halo(Planes.of(picture)) == pytest.approx(over)
    assert frequency.halo(Planes.of(np.swapaxes(picture, 0, 1))) == pytest.approx(over)
    assert frequency.halo(Planes.of(flat(0.5, 0.5, 0.5))) == 0.0
    assert frequency.halo(Planes.of(1 - picture)) == pytest.approx(over)


def test_posterisation():
    smooth = grey(np.tile(np.arange(256) / 255, (4, 1)))
    assert frequency.posterisation(Planes.of(smooth)) == 0.0
    steps = grey(np.tile(np.round(np.arange(256) / 255 * 4) / 4, (4, 1)))
    assert frequency.posterisation(Planes.of(steps)) == pytest.approx(1 - 5 / 256)
    assert frequency.posterisation(Planes.of(flat(0.5, 0.5, 0.5))) == 0.0


def test_entropy():
    assert content.entropy(Planes.of(flat(0.4, 0.4, 0.4))) == 0.0
    assert content.entropy(Planes.of(half([0.2] * 3, [0.8] * 3))) == pytest.approx(1.0)
    assert content.entropy(Planes.of(grey(np.tile(np.arange(256) / 255, (4, 1))))) == pytest.approx(8.0)


def test_flat_area_and_edges():
    picture = half([0.2] * 3, [0.8] * 3)
    # Of 26 windows across 32 columns, 6 straddle the edge; of 30 gradients, 2 see it.
    assert content.flat_area(Planes.of(picture)) == pytest.approx(20 / 26)
    assert content.edge_density(Planes.of(picture)) == pytest.approx(2 / 30)
    assert content.edge_density(Planes.of(flat(0.1, 0.1, 0.1))) == 0.0


def test_coherence():
    assert content.edge_coherence(Planes.of(wave(5))) == pytest.approx(1.0)
    assert content.edge_coherence(Planes.of(noise(0.1))) < 0.3
    assert content.edge_coherence(Planes.of(flat(0.5, 0.5, 0.5))) == 0.0


def test_nothing_stands_out_on_a_shaded_ground():
    ground = flat(0.1, 0.3, 0.8, 64)
    ground[..., 2] -= np.linspace(0, 0.15, 64)
    assert contrast.nothing_stands_out(Planes.of(ground))
    subject = ground.copy()
    subject[:4, :4, 0] = 0.9
    assert contrast.nothing_stands_out(Planes.of(subject))
    subject[:5, :5, 0] = 0.9
    assert not contrast.nothing_stands_out(Planes.of(subject))


def test_png_bytes():
    assert content.png_bytes(Planes.of(flat(0.5, 0.5, 0.5, 256))) < 0.03
    random = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert content.png_bytes(Planes.of(random)) > 3


def test_compactness():
    spot = flat(0.5, 0.5, 0.5, 128)
    spot[40:48, 70:78] = [0.9, 0.2, 0.1]
    scattered = flat(0.5, 0.5, 0.5, 128)
    for y, x in np.random.default_rng(0).integers(0, 120, (60, 2)):
        scattered[y : y + 8, x : x + 8] = [0.9, 0.2, 0.1]
    assert content.compactness(Planes.of(spot)) > 0.8
    assert content.compactness(Planes.of(scattered)) < 0.3
    assert content.compactness(Planes.of(flat(0.5, 0.5, 0.5))) == 0.0


def test_stripes():
    rng = np.random.default_rng(0)
    lines = rng.integers(0, 2, (96, 96)) * (np.arange(96) % 12 < 6)[:, None]
    assert content.stripes(Planes.of(grey(lines))) > 0.9
    assert content.stripes(Planes.of(noise(0.1))) < 0.4
    assert content.stripes(Planes.of(flat(0.5, 0.5, 0.5))) == 0.0


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 1000), st.sampled_from([0.0, 0.5, 1.0, None]))
def test_every_metric_is_finite_on_any_picture(height: int, width: int, seed: int, value: float | None):
    random = np.random.default_rng(seed).random((height, width, 3))
    found = measure(Planes.of(random if value is None else np.full((height, width, 3), value)))
    assert list(found) == list(METRICS)
    assert all(math.isfinite(number) for number in found.values()), found


def test_the_same_picture_measures_the_same_in_every_form():
    eight_bit = np.random.default_rng(3).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    assert measure(Planes.of(Image.fromarray(eight_bit))) == measure(Planes.of(eight_bit))
