"""The filmstrip of a batch: how its first picture came about, drawn from what was kept while it was sampled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.filmstrip import ToPicture, coloured, filmstrip, fit_colours
from lib_sticky.studio.making import Made
from lib_sticky.studio.watching import Watch

FAST, VAE = "fast", "vae"
WAYS = (FAST, VAE)
"""How predictions become pictures: by a linear map fitted to the finished pictures, or by the VAE."""


def strip_of(host: Diffusers, made: Made, watch: Watch, way: str, title: str) -> Image.Image:
    """The filmstrip of the batch that `watch` saw, in one of `WAYS`."""
    return filmstrip(watch.frames, to_picture(host, way, [] if way == VAE else colours(made, watch)), title)


def colours(made: Made, watch: Watch) -> list[list[float]]:
    """The linear map from the batch's latents to its finished pictures (see lab/filmstrip.py, fit_colours)."""
    return fit_colours(list(watch.latents), made.pictures).tolist()


def to_picture(host: Diffusers, way: str, linear: Sequence[Sequence[float]]) -> ToPicture:
    """How a prediction becomes a picture; `linear` is not used with the VAE."""
    if way == VAE:
        return lambda latent: Image.fromarray(host.pictures(torch.from_numpy(latent).float()[None])[0])
    found = np.asarray(linear)
    return lambda latent: coloured(latent, found)
