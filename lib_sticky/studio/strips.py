"""The filmstrip of a batch: how its first picture came about, drawn from what was kept while it was sampled."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from PIL import Image

from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.filmstrip import ToPicture, coloured, filmstrip, fit_colours
from lib_sticky.studio.making import Made
from lib_sticky.studio.watching import Watch

FAST, VAE = "fast", "vae"
"""How predictions become pictures: by a linear map fitted to the finished pictures, or by the VAE."""


def strip_of(host: Diffusers, made: Made, watch: Watch, way: str, title: str) -> Image.Image:
    """The filmstrip of the batch that `watch` saw, `FAST` or by the `VAE`."""
    to_picture = decoder(host, way) or partial(coloured, colours=fit_colours(list(watch.latents()), made.pictures))
    return filmstrip(watch.strip_frames(), to_picture, title)


def decoder(host: Diffusers, way: str) -> ToPicture | None:
    """How the VAE makes a picture of a prediction; None where it is not asked to."""
    if way != VAE:
        return None
    return lambda latent: Image.fromarray(host.pictures(torch.from_numpy(np.asarray(latent)).float()[None])[0])
