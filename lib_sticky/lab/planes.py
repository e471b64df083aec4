"""A picture and what several metrics derive from it, each computed once, when the first metric asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .pictures import Floats, eight_bit, gradients, luma, rgb, window_deviation

WINDOW = 7
"""Side of the windows of local measures, in pixels."""


@dataclass(frozen=True, eq=False)
class Planes:
    """`picture`: [H, W, 3] in 0 to 1, as `rgb` makes it."""

    picture: Floats

    @classmethod
    def of(cls, picture: Image.Image | NDArray[np.generic]) -> Planes:
        """Of a PIL image, 8-bit integers or floats. ValueError for what is no picture."""
        return cls(rgb(picture))

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.picture.shape[0] * self.picture.shape[1]

    @cached_property
    def channels(self) -> Floats:
        """Red, green and blue, [3, H, W]: one after another they are ten times as fast as pixel by pixel."""
        return np.ascontiguousarray(np.moveaxis(self.picture, -1, 0))

    @cached_property
    def strongest(self) -> Floats:
        """The greatest channel of every pixel, [H, W]."""
        red, green, blue = self.channels
        return np.maximum(np.maximum(red, green), blue)

    @cached_property
    def weakest(self) -> Floats:
        """The least channel of every pixel, [H, W]."""
        red, green, blue = self.channels
        return np.minimum(np.minimum(red, green), blue)

    @cached_property
    def eight_bit(self) -> NDArray[np.uint8]:
        """The values as a file holds them, [H, W, 3]."""
        return eight_bit(self.picture)

    @cached_property
    def luma(self) -> Floats:
        """Rec. 709 luma, [H, W] in 0 to 1."""
        return luma(self.picture)

    @cached_property
    def tones(self) -> NDArray[np.intp]:
        """How many pixels have each of 256 levels of luma."""
        return np.bincount(np.round(self.luma * 255).astype(np.uint8).ravel(), minlength=256)

    @cached_property
    def slopes(self) -> tuple[Floats, Floats]:
        """Changes of the luma down and across, of the inner pixels."""
        return gradients(self.luma)

    @cached_property
    def crunch(self) -> Floats:
        """Standard deviation of the luma in every window."""
        return window_deviation(self.luma, WINDOW)

    @cached_property
    def spectrum(self) -> tuple[Floats, Floats]:
        """Power of each frequency of the luma, Hann-windowed, and its distance from zero in cycles a pixel."""
        window = np.outer(*(np.hanning(size + 2)[1:-1] for size in self.luma.shape))
        centred = self.luma - (self.luma * window).sum() / window.sum()
        found = np.fft.fft2(centred * window)
        down, across = (np.fft.fftfreq(size) for size in self.luma.shape)
        return found.real**2 + found.imag**2, np.hypot(down[:, None], across)
