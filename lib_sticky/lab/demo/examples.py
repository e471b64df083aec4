"""Training pictures in numbered chunks; a chunk depends on the seed and its number only, so any run can make it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from lib_sticky.lab.demo.corrupt import corrupt
from lib_sticky.lab.demo.render import render
from lib_sticky.lab.demo.scene import Scene, any_scene, draw_bad

CHUNK = 100
BAD_SHARE = 0.15
DrawScene = Callable[[random.Random], Scene]


def _chunk_rng(seed: int, number: int) -> random.Random:
    return random.Random(f"{seed}/{number}")


def _draw_scenes(rng: random.Random, bad_share: float, draw: DrawScene) -> list[Scene]:
    return [replace(draw(rng), bad=draw_bad(rng, bad_share)) for _ in range(CHUNK)]


def chunk_scenes(seed: int, number: int, bad_share: float = BAD_SHARE) -> list[Scene]:
    """The scenes of a chunk without its pictures."""
    return _draw_scenes(_chunk_rng(seed, number), bad_share, any_scene)


def chunk(
    seed: int, number: int, bad_share: float = BAD_SHARE, draw_scene: DrawScene = any_scene
) -> tuple[Tensor, list[Scene]]:
    """Pictures uint8 [100,3,128,128] and their scenes; `bad_share` of them are corrupted in named ways."""
    rng = _chunk_rng(seed, number)
    scenes = _draw_scenes(rng, bad_share, draw_scene)
    draw = torch.Generator().manual_seed(rng.getrandbits(60))
    pictures = corrupt(render(scenes), [scene.bad for scene in scenes], draw)
    return pictures.mul(255).round().byte(), scenes


def pool(seed: int, chunks: int) -> Tensor:
    """The pictures of the first chunks, uint8 [100 * chunks,3,128,128]."""
    return torch.cat([chunk(seed, number)[0] for number in range(chunks)])
