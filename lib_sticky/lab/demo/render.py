"""Scenes to pixels: signed distances on a grid, one batched pass a layer, on any device.

The distance functions are the usual closed forms for polygons and circles in the plane.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lib_sticky.lab.demo.scene import SIDE, Layer, Scene

_GLYPHS = {
    "H": "101 101 111 101 101",
    "I": "111 010 010 010 111",
    "O": "111 101 101 101 111",
    "K": "101 101 110 101 101",
    "Y": "101 101 010 010 010",
    "E": "111 100 110 100 111",
    "S": "111 100 111 001 111",
}
FORMS = ("circle", "square", "triangle", "star", "heart", "cross", "box", *_GLYPHS)


def _star(u: Tensor, v: Tensor) -> Tensor:
    fold = math.pi / 5
    angle = torch.remainder(torch.atan2(u, -v), 2 * fold)
    angle = torch.minimum(angle, 2 * fold - angle)
    length = torch.hypot(u, v)
    x, y = length * torch.cos(angle), length * torch.sin(angle)
    inner = (0.46 * math.cos(fold), 0.46 * math.sin(fold))
    edge = math.hypot(inner[0] - 1.0, inner[1])
    return ((x - 1.0) * inner[1] + y * (1.0 - inner[0])) / edge


def _heart(u: Tensor, v: Tensor) -> Tensor:
    u, y = u.abs(), -(v - 0.1)
    diamond = (u + y.abs() - 0.84) / math.sqrt(2)
    lobe = torch.hypot(u - 0.42, y - 0.42) - 0.594
    return torch.minimum(diamond, lobe)


def _cross(u: Tensor, v: Tensor) -> Tensor:
    u, v = u.abs(), v.abs()
    return torch.minimum(torch.maximum(u - 0.3, v - 0.95), torch.maximum(u - 0.95, v - 0.3))


def _glyph(letter: str, u: Tensor, v: Tensor) -> Tensor:
    """Distance to the nearest lit cell of a 3 by 5 letter that fills the unit square."""
    distance = torch.full_like(u, 9.0)
    for row, cells in enumerate(_GLYPHS[letter].split()):
        for column, lit in enumerate(cells):
            if lit == "1":
                x, y = (column - 1) * 2 / 3, (row - 2) * 2 / 5
                distance = torch.minimum(distance, torch.maximum((u - x).abs() - 0.38, (v - y).abs() - 0.24))
    return distance


def form_distance(form: str, u: Tensor, v: Tensor) -> Tensor:
    """Signed distance to a form of half extent 1 at (u, v), v downwards, negative inside."""
    if form == "circle":
        return torch.hypot(u, v) - 0.95
    if form == "square":
        return torch.maximum(u.abs(), v.abs()) - 0.82
    if form == "box":
        return torch.maximum(u.abs(), v.abs()) - 1.0
    if form == "triangle":
        return torch.maximum(0.866 * u.abs() - 0.5 * (v - 0.15), v - 0.15) - 0.58
    if form == "star":
        return _star(u, v)
    if form == "heart":
        return _heart(u, v)
    if form == "cross":
        return _cross(u, v)
    return _glyph(form, u, v)


def _texture_mix(texture: str, x: Tensor, y: Tensor) -> Tensor:
    """How much of the light tone a texture shows at pixel (x, y), 0..1."""
    if texture == "striped":
        return torch.sin(x * (2 * math.pi / 14.0)).mul(4.0).add(0.5).clamp(0, 1)
    if texture == "dotted":
        near = torch.hypot(torch.remainder(x, 14.0) - 7.0, torch.remainder(y, 14.0) - 7.0)
        return (4.0 - near).clamp(0, 1)
    return torch.zeros_like(x)


def _paint(canvas: Tensor, rows: list[int], layers: list[Layer], form: str, grid: tuple[Tensor, Tensor]) -> None:
    """Paint one layer of one form onto the pictures `rows` of canvas [N,3,S,S], in place."""
    table = torch.tensor([(a.x, a.y, a.rx, a.ry, a.turn, *a.rgb) for a in layers], device=canvas.device)
    x0, y0, rx, ry, turn, red, green, blue = (column.view(-1, 1, 1) for column in table.unbind(1))
    dx, dy = torch.broadcast_tensors(grid[0] - x0, grid[1] - y0)
    u = (dx * torch.cos(turn) + dy * torch.sin(turn)) / rx
    v = (dy * torch.cos(turn) - dx * torch.sin(turn)) / ry
    alpha = (0.5 - form_distance(form, u, v) * torch.minimum(rx, ry)).clamp(0, 1).unsqueeze(1)
    light = torch.stack([_texture_mix(a.texture, dx[i], dy[i]) for i, a in enumerate(layers)]).unsqueeze(1)
    rgb = torch.stack((red, green, blue), 1)
    dark = rgb.mean(1, keepdim=True) < 0.72
    rgb = rgb + light * (torch.where(dark, 1.0, 0.25) - rgb) * 0.7
    index = torch.tensor(rows, device=canvas.device)
    canvas[index] = torch.lerp(canvas[index], rgb, alpha)


def render(scenes: Sequence[Scene], device: str | torch.device = "cpu") -> Tensor:
    """Clean pictures of the scenes, float32 [N,3,128,128] in 0..1."""
    axis = torch.arange(SIDE, device=device, dtype=torch.float32) + 0.5
    grid = (axis.view(1, 1, -1), axis.view(1, -1, 1))
    ground = torch.tensor([scene.ground for scene in scenes], device=device).view(-1, 3, 1, 1)
    slope = 1.03 - 0.06 * axis.view(1, 1, -1, 1) / SIDE
    canvas = (ground * slope).expand(-1, -1, SIDE, SIDE).clone()
    for depth in range(max(len(scene.layers) for scene in scenes)):
        for form in FORMS:
            rows = [i for i, s in enumerate(scenes) if len(s.layers) > depth and s.layers[depth].form == form]
            if rows:
                _paint(canvas, rows, [scenes[i].layers[depth] for i in rows], form, grid)
    return canvas.clamp_(0, 1)
