"""Contact sheets: many pictures in one."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor


def contact_sheet(pictures: Tensor, columns: int) -> Image.Image:
    """A grid of pictures [N,3,S,S] in 0..1, row by row, two pixels apart."""
    count, _, height, width = pictures.shape
    rows = -(-count // columns)
    grid = torch.ones(3, rows * (height + 2), columns * (width + 2))
    for i in range(count):
        y, x = (i // columns) * (height + 2), (i % columns) * (width + 2)
        grid[:, y : y + height, x : x + width] = pictures[i].clamp(0, 1)
    return Image.fromarray(grid.mul(255).round().byte().permute(1, 2, 0).numpy())


def save_sheet(pictures: Tensor, columns: int, path: Path) -> None:
    """Write a contact sheet as PNG or JPEG, by the ending of the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(pictures.float().cpu(), columns).save(path)
