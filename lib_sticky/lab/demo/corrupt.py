"""The named ways in which a picture is bad, each strong enough to survive an autoencoder of factor 8."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor

from lib_sticky.lab.demo.words import BAD_NAMES


def _uniform(count: int, low: float, high: float, draw: torch.Generator) -> Tensor:
    """[count,1,1,1] between low and high."""
    return (torch.rand(count, generator=draw) * (high - low) + low).view(-1, 1, 1, 1)


def _blurry(x: Tensor, draw: torch.Generator) -> Tensor:
    """Gaussian blur, sigma 4.5 to 7 pixels, one sigma a batch of pictures."""
    sigma = float(torch.rand((), generator=draw) * 2.5 + 4.5)
    axis = torch.arange(-18, 19, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (axis / sigma) ** 2)
    kernel = (kernel / kernel.sum()).repeat(3, 1)
    x = nnf.conv2d(nnf.pad(x, (18, 18, 0, 0), mode="reflect"), kernel.view(3, 1, 1, -1), groups=3)
    return nnf.conv2d(nnf.pad(x, (0, 0, 18, 18), mode="reflect"), kernel.view(3, 1, -1, 1), groups=3)


def _noisy(x: Tensor, draw: torch.Generator) -> Tensor:
    """Coloured grain of 4 pixels, standard deviation 0.2 to 0.35."""
    grain = torch.randn(x.shape[0], 3, 32, 32, generator=draw) * _uniform(x.shape[0], 0.2, 0.35, draw)
    return x + nnf.interpolate(grain, size=x.shape[-2:], mode="nearest")


def _distorted(x: Tensor, draw: torch.Generator) -> Tensor:
    """A smooth random warp of up to about 14 pixels."""
    count, side = x.shape[0], x.shape[-1]
    coarse = torch.randn(count, 2, 6, 6, generator=draw) * 0.13
    field = nnf.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    axis = torch.linspace(-1 + 1 / side, 1 - 1 / side, side)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    return nnf.grid_sample(x, grid + field, padding_mode="reflection", align_corners=False)


def _artifacts(x: Tensor, draw: torch.Generator) -> Tensor:
    """A fifth of the 16-pixel blocks swapped with a neighbour's content or filled with a wrong tone."""
    count, side = x.shape[0], x.shape[-1]
    hit = (torch.rand(count, 1, 8, 8, generator=draw) < 0.22).float()
    mask = nnf.interpolate(hit, size=(side, side), mode="nearest")
    tone = nnf.interpolate(torch.rand(count, 3, 8, 8, generator=draw), size=(side, side), mode="nearest")
    return torch.lerp(x, 0.35 * torch.roll(x, (24, 40), (2, 3)) + 0.65 * tone, mask)


def _washed_out(x: Tensor, draw: torch.Generator) -> Tensor:
    """Contrast cut to a quarter around a light grey."""
    return 0.68 + (x - 0.5) * _uniform(x.shape[0], 0.18, 0.3, draw)


def _oversaturated(x: Tensor, draw: torch.Generator) -> Tensor:
    """Each channel driven to its ends, with a halo from an over-strong sharpening."""
    soft = nnf.avg_pool2d(x, 13, 1, 6, count_include_pad=False)
    return 0.5 + (x - 0.5) * _uniform(x.shape[0], 2.6, 3.6, draw) + (x - soft) * 1.2


def _cropped(x: Tensor, draw: torch.Generator) -> Tensor:
    """A window of half the side from a corner region, enlarged, so that the subject runs out of the frame."""
    count = x.shape[0]
    scale = _uniform(count, 0.42, 0.5, draw).view(-1)
    side = (torch.rand(count, 2, generator=draw) < 0.5).float().mul(2).sub(1)
    shift = side * _uniform(count, 0.38, 0.5, draw).view(-1, 1)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = shift
    grid = nnf.affine_grid(theta, list(x.shape), align_corners=False)
    return nnf.grid_sample(x, grid, align_corners=False, padding_mode="border")


def _low_quality(x: Tensor, draw: torch.Generator) -> Tensor:
    """Eleven-pixel blocks with few tones each."""
    small = nnf.interpolate(x, size=(12, 12), mode="area") + torch.randn(x.shape[0], 3, 12, 12, generator=draw) * 0.04
    return nnf.interpolate((small * 5).round() / 5, size=x.shape[-2:], mode="nearest")


_KINDS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "cropped": _cropped,
    "distorted": _distorted,
    "blurry": _blurry,
    "low quality": _low_quality,
    "washed out": _washed_out,
    "oversaturated": _oversaturated,
    "artifacts": _artifacts,
    "noisy": _noisy,
}
if set(_KINDS) != set(BAD_NAMES):
    raise RuntimeError("corrupt.py and words.py name different kinds of bad pictures")


def corrupt(pictures: Tensor, bad: Sequence[tuple[str, ...]], draw: torch.Generator) -> Tensor:
    """The pictures [N,3,S,S] with the named corruptions of each applied, geometry first; clean ones are unchanged."""
    out = pictures.clone()
    for name, change in _KINDS.items():
        rows = [i for i, names in enumerate(bad) if name in names]
        if rows:
            out[rows] = change(out[rows], draw).clamp(0, 1)
    return out
