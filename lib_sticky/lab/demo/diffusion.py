"""Training of the UNet to predict the noise in latents, first on windows around one object, then on whole pictures.

A window of 8x8 latents costs a third of a whole 16x16 grid and holds objects of the same size in pixels, so shapes,
colours and words are learnt there first; layout, counts, large objects and scenes follow on whole grids.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextModel

from lib_sticky.lab.demo.captions import EMPTY, QualityWords, caption
from lib_sticky.lab.demo.layout import SCALE_FACTOR, alphas_cumprod
from lib_sticky.lab.demo.master_weights import MasterWeights
from lib_sticky.lab.demo.number_format import quick_format
from lib_sticky.lab.demo.scene import SIDE, Scene
from lib_sticky.lab.demo.text_encoder import token_rows
from lib_sticky.lab.demo.workers import ALONE, Workers

CELL = 8
SNR_CAP = 5.0


@dataclass(frozen=True)
class Latents:
    """Unscaled mean latents float16 [N,4,16,16], the scene of each, and the text states of its captions.

    `states`: bfloat16 [N,captions,77,width]; `empty`: [77,width], of the empty caption.
    """

    grids: Tensor
    scenes: Sequence[Scene]
    states: Tensor
    empty: Tensor


@dataclass(frozen=True)
class Noise:
    """How often each of the 1000 noise levels is drawn, and how much its error counts; both float32 [1000]."""

    chance: Tensor
    weight: Tensor


def noise_levels() -> Noise:
    """Min-SNR weights (Hang et al. 2023, gamma 5) for a predicted noise, half of each by being drawn more often."""
    kept = alphas_cumprod()
    ratio = kept / (1 - kept)
    wanted = ratio.clamp_max(SNR_CAP) / ratio
    chance = wanted.sqrt() / wanted.sqrt().sum()
    weight = wanted / chance
    return Noise(chance, weight / (weight * chance).sum())


def _window(rng: random.Random, scene: Scene) -> tuple[int, int] | None:
    """Where, in cells (y, x), a window of half the side can hold the scene's only object; None when it cannot."""
    if scene.family != "objects" or scene.count != 1 or scene.size == "large":
        return None
    only = scene.layers[0]
    corner: list[int] = []
    for centre in (only.y, only.x):
        low, high = max(0.0, centre + only.rx - SIDE / 2), min(SIDE / 2, centre - only.rx)
        first, last = -int(-low // CELL), int(high // CELL)
        if first > last:
            return None
        corner.append(rng.randint(first, last))
    return corner[0], corner[1]


Batch = tuple[Tensor, list[int]]


def window_batch(rng: random.Random, data: Latents, fitting: Sequence[int], size: int) -> Batch:
    """Windows [size,4,8,8] and their rows; `fitting` are rows that have a window."""
    grids: list[Tensor] = []
    rows: list[int] = []
    while len(grids) < size:
        row = rng.choice(fitting)
        corner = _window(rng, data.scenes[row])
        if corner:
            y, x = corner
            grids.append(data.grids[row, :, y : y + 8, x : x + 8])
            rows.append(row)
    return torch.stack(grids), rows


def whole_batch(rng: random.Random, data: Latents, fitting: Sequence[int], size: int) -> Batch:
    """Whole grids [size,4,16,16] and their rows, out of the rows `fitting`."""
    rows = [rng.choice(fitting) for _ in range(size)]
    return data.grids[rows], rows


Batches = Callable[[random.Random, Latents, Sequence[int], int], Batch]


def rows_with_window(data: Latents) -> list[int]:
    """The rows whose scene fits a window and names no place, which a window would belie."""
    rng = random.Random(0)
    return [row for row, scene in enumerate(data.scenes) if scene.place == "anywhere" and _window(rng, scene)]


@torch.no_grad()
def text_states(text: CLIPTextModel, texts: list[str], batch: int = 100) -> Tensor:
    """The frozen encoder's hidden states, [N,77,width] in its own number format."""
    device = next(text.parameters()).device
    parts = [text(input_ids=token_rows(texts[i : i + batch]).to(device)) for i in range(0, len(texts), batch)]
    return torch.cat([part.last_hidden_state for part in parts])


def captioned(
    grids: Tensor, scenes: Sequence[Scene], text: CLIPTextModel, level: QualityWords, captions: int, seed: int
) -> Latents:
    """Latents with the text states of `captions` captions of each picture, written and encoded once."""
    rng = random.Random(f"captions/{seed}")
    lines = [caption(rng, scene, level) for scene in scenes for _ in range(captions)]
    states = text_states(text, lines).bfloat16().unflatten(0, (len(scenes), captions))
    return Latents(grids, scenes, states, text_states(text, [""])[0].bfloat16())


class UNetTrainer:
    """Holds the UNet's weights; `step` takes one step on a batch of latents."""

    def __init__(
        self,
        unet: UNet2DConditionModel,
        rate: float,
        steps: int,
        matrices: float = 0.0,
        workers: Workers = ALONE,
    ) -> None:
        """`unet` computes in `quick_format`; `rate`, `matrices`, `workers`: see `MasterWeights`."""
        unet.set_attn_processor(AttnProcessor())
        self.unet = unet.to(quick_format(unet.device)).train()
        self.workers = workers
        self.weights = MasterWeights(self.unet, rate, steps, 0.998, matrices, self.workers)
        self.noise = noise_levels()
        self.kept = alphas_cumprod()
        self.forward: Callable[..., tuple[Tensor]] = self.unet

    def compile(self) -> None:
        """Let torch.compile fuse the UNet: a third faster on a CPU once it is built, which takes about a minute."""
        self.forward = torch.compile(self.unet, dynamic=False)

    def step(self, data: Latents, batch: Batch, rng: random.Random) -> float:
        """One update; one caption in ten is emptied. Returns the weighted loss of this worker's part of the batch."""
        grids, rows = batch
        draw = torch.Generator().manual_seed(rng.getrandbits(60))
        which = torch.randint(data.states.shape[1], (len(rows),), generator=draw)
        emptied = torch.rand(len(rows), generator=draw) < EMPTY
        when = torch.multinomial(self.noise.chance, len(rows), replacement=True, generator=draw)
        added = torch.randn(grids.shape, generator=draw)
        mine = self.workers.part(torch.arange(len(rows)))
        states = data.states[torch.tensor(rows)[mine], which[mine]]
        states = torch.where(emptied[mine].view(-1, 1, 1), data.empty, states)
        loss = self._loss(grids[mine].float() * SCALE_FACTOR, added[mine], when[mine], states)
        self.weights.step(loss)
        return float(loss.detach())

    def _loss(self, clean: Tensor, added: Tensor, when: Tensor, states: Tensor) -> Tensor:
        """Weighted mean square error of the predicted noise."""
        device = self.unet.device
        kept = self.kept[when].view(-1, 1, 1, 1)
        noisy = (kept.sqrt() * clean + (1 - kept).sqrt() * added).to(self.unet.dtype)
        made = self.forward(noisy.to(device), when.to(device), states.to(device, self.unet.dtype), return_dict=False)[
            0
        ].float()
        error = (made - added.to(device)).square().mean((1, 2, 3))
        return (error * self.noise.weight[when].to(device)).mean()
