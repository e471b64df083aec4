"""What the negative did at each step, as pictures: conditional, unconditional, their difference, guided.

The latents become pictures by a linear map, fitted to pictures that were decoded anyway: no model call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from .labelled import labelled
from .pictures import Floats

STEPS = 7
ROWS = ("conditional", "unconditional", "difference", "guided")
_HEAT = np.array([[0, 0, 4], [59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]])
"""Dark to bright, evenly in lightness: six points of matplotlib's "magma" (van der Walt & Smith, CC0)."""


@dataclass(frozen=True)
class Frame:
    """One step of one image: denoised predictions [C, h, w]; `uncond` is None where it was not run."""

    step: int
    sigma: float
    cond: Floats
    uncond: Floats | None
    guided: Floats


ToPicture = Callable[[Floats], Image.Image]


def chosen_steps(steps: int, count: int = STEPS) -> tuple[int, ...]:
    """At most `count` 1-based steps from the first to the last, as even as whole numbers allow."""
    count = min(count, steps)
    return tuple(sorted({round(1 + index * (steps - 1) / max(1, count - 1)) for index in range(count)}))


def fit_colours(latents: Sequence[ArrayLike], pictures: Sequence[Image.Image]) -> Floats:
    """The linear map from latents to colours, [C + 1, 3], that is nearest to what the VAE made of them.

    latents: [C, h, w] each; the pictures are averaged down to h x w. Least squares, with a slight pull to zero so that
    few points suffice. ValueError without any.
    """
    if not latents:
        raise ValueError("no decoded picture to fit colours to")
    values = np.concatenate([_points(np.asarray(latent, dtype=np.float64)) for latent in latents])
    colours = np.concatenate(
        [_small(picture, np.shape(latent)) for latent, picture in zip(latents, pictures, strict=True)]
    )
    pull = 1e-3 * len(values) * np.eye(values.shape[1])
    pull[-1, -1] = 0
    return np.linalg.solve(values.T @ values + pull, values.T @ colours)


def coloured(latent: Floats, colours: Floats) -> Image.Image:
    """The picture, one pixel for each latent, that the map of `fit_colours` makes of `latent` [C, h, w]."""
    values = np.clip(_points(latent) @ colours, 0, 1).reshape(*latent.shape[1:], 3)
    return Image.fromarray(np.round(values * 255).astype(np.uint8))


def heat(difference: Floats) -> tuple[Image.Image, float]:
    """Root mean square over the channels of [C, h, w], from dark (0) to bright (its greatest value), and that value."""
    size = np.sqrt((np.asarray(difference) ** 2).mean(axis=0))
    most = float(size.max())
    place = size / most * (len(_HEAT) - 1) if most else size * 0
    channels = [np.interp(place, np.arange(len(_HEAT)), _HEAT[:, channel]) for channel in range(3)]
    return Image.fromarray(np.round(np.stack(channels, axis=-1)).astype(np.uint8)), most


def filmstrip(frames: Sequence[Frame], to_picture: ToPicture, title: str) -> Image.Image:
    """Four rows, a column each step. The brightness of the difference is relative to its step; its peak is written."""
    columns = [_column(frame, to_picture) for frame in frames]
    size = columns[0][0][0].size
    shown = [[column[row][0].resize(size, Image.Resampling.NEAREST) for column in columns] for row in range(len(ROWS))]
    captions = [[column[row][1] for column in columns] for row in range(len(ROWS))]
    return labelled(title, [f"step {frame.step}" for frame in frames], ROWS, shown, captions)


def _column(frame: Frame, to_picture: ToPicture) -> list[tuple[Image.Image, str]]:
    """The pictures of one step with their captions, in the order of ROWS."""
    cond, guided = (to_picture(frame.cond), f"sigma {frame.sigma:.3g}"), (to_picture(frame.guided), "")
    if frame.uncond is None:
        nothing = (Image.new("RGB", cond[0].size, (225, 225, 225)), "not run")
        return [cond, nothing, nothing, guided]
    apart, peak = heat(frame.cond - frame.uncond)
    return [cond, (to_picture(frame.uncond), ""), (apart, f"peak {peak:.2g}"), guided]


def _points(latent: Floats) -> Floats:
    """[C, h, w] as [h w, C + 1], the last column 1."""
    flat = latent.reshape(len(latent), -1).T
    return np.hstack([flat, np.ones((len(flat), 1))])


def _small(picture: Image.Image, shape: Sequence[int]) -> Floats:
    resized = picture.convert("RGB").resize((shape[2], shape[1]), Image.Resampling.BOX)
    return np.asarray(resized, dtype=np.float64).reshape(-1, 3) / 255
