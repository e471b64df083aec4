"""Small classifiers that say what a 128x128 picture of the demo world shows and whether it is clean.

One convolutional network with four read-outs and a 64-number feature vector, in which Fréchet distance is measured.
It was trained on renders that went through the autoencoder, so it judges content and not the autoencoder; its own
held-out accuracy is in the weight file's metadata and in docs/MODEL.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as nnf
from safetensors.torch import load_file
from torch import Tensor, nn

from lib_sticky.lab.demo.channels_last_norm import ChannelsLastGroupNorm
from lib_sticky.lab.demo.words import BAD_NAMES, COLOUR_NAMES, SHAPE_NAMES

WEIGHTS = Path(__file__).resolve().parents[3] / "models" / "sticky-demo" / "judges.safetensors"
FEATURES = 64
BLANK_SPREAD = 0.02
MOST = 5
_SIZES = (len(SHAPE_NAMES), len(COLOUR_NAMES), MOST, len(BAD_NAMES) + 1)


@dataclass(frozen=True)
class Judgement:
    """What the judges say of N pictures.

    `shape`, `colour`: indices into SHAPE_NAMES and COLOUR_NAMES; `count`: 1 to 5, all int64 [N]
    (captions ask for up to four; a fifth object is seen).
    `clean`: probability of being clean, float32 [N], and `bad`: of each kind in BAD_NAMES, float32 [N,kinds].
    `blank`: bool [N], hardly any variation in the picture; `features`: float32 [N,64]. Never read `clean` without
    `blank`: an empty picture passes for clean.
    """

    shape: Tensor
    colour: Tensor
    count: Tensor
    clean: Tensor
    bad: Tensor
    blank: Tensor
    features: Tensor


class JudgeNet(nn.Module):
    """Pictures to features and logits."""

    def __init__(self) -> None:
        super().__init__()
        widths = (24, 32, 64, 96, 96)
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, 2, 1), ChannelsLastGroupNorm(8, width), nn.SiLU()]
            before = width
        extra = (nn.Conv2d(64, 64, 3, 1, 1), ChannelsLastGroupNorm(8, 64), nn.SiLU())
        self.body = nn.Sequential(*layers[:9], *extra, *layers[9:])
        self.features = nn.Linear(96 * 4 + 96, FEATURES)
        self.heads = nn.Linear(FEATURES, sum(_SIZES))

    def forward(self, pictures: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Features [N,64] and the logits of shape, colour, count and quality; pictures [N,3,128,128] in 0..1."""
        x = self.body(pictures * 2 - 1)
        pooled = torch.cat((nnf.adaptive_avg_pool2d(x, 2).flatten(1), nnf.adaptive_max_pool2d(x, 1).flatten(1)), 1)
        features = self.features(pooled)
        return features, self.heads(nnf.silu(features)).split(_SIZES, 1)


@lru_cache(maxsize=1)
def _net() -> JudgeNet:
    net = JudgeNet()
    net.load_state_dict({name: value.float() for name, value in load_file(str(WEIGHTS)).items()})
    return net.eval()


@torch.no_grad()
def judge(images: Tensor, net: JudgeNet | None = None) -> Judgement:
    """Judge pictures float [N,3,128,128] in 0..1; `net` defaults to the shipped weights."""
    if images.ndim != 4 or images.shape[1:] != (3, 128, 128):
        raise ValueError(f"judge wants pictures [N,3,128,128] in 0..1, not {tuple(images.shape)}")
    images = images.float().clamp(0, 1)
    parts = [(net or _net())(batch.contiguous(memory_format=torch.channels_last)) for batch in images.split(50)]
    features = torch.cat([part[0] for part in parts])
    shape, colour, count, quality = (torch.cat([part[1][i] for part in parts]) for i in range(4))
    return Judgement(
        shape=shape.argmax(1),
        colour=colour.argmax(1),
        count=count.argmax(1) + 1,
        clean=quality[:, -1].sigmoid(),
        bad=quality[:, :-1].sigmoid(),
        blank=images.flatten(1).std(1) < BLANK_SPREAD,
        features=features,
    )
