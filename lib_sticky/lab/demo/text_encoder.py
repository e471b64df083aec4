"""Training of the text encoder: from a caption, at any position after it, predict what its picture shows.

SD 1.x takes its text encoder ready-made from CLIP, which learnt to match captions with pictures. Here the picture is
known as a scene, so the encoder is taught the scene's attributes through linear read-outs that are then thrown away;
after that it is frozen, as in SD 1.x. Foreign words are mixed in so that unknown words do little.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, cast

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn
from transformers import CLIPTextModel

from lib_sticky.lab.demo.autoencoder import Report
from lib_sticky.lab.demo.captions import EMPTY, QualityWords, caption
from lib_sticky.lab.demo.examples import BAD_SHARE
from lib_sticky.lab.demo.layout import NULL_TOKEN, TOKENS, WIDTH, tokenizer
from lib_sticky.lab.demo.master_weights import MasterWeights
from lib_sticky.lab.demo.scene import Scene, any_scene, draw_bad
from lib_sticky.lab.demo.words import (
    BAD_NAMES,
    COLOUR_NAMES,
    LETTERING,
    PLACE_NAMES,
    SHAPE_NAMES,
    SIZE_NAMES,
    TEXTURE_NAMES,
)

_FAMILY_NAMES = ("objects", "pair", "landscape", "lettering")
_GROUND_NAMES = (*COLOUR_NAMES, "day", "night")
_CHOICES: dict[str, tuple[Any, ...]] = {
    "family": _FAMILY_NAMES,
    "shape": SHAPE_NAMES,
    "colour": COLOUR_NAMES,
    "background": _GROUND_NAMES,
    "count": (1, 2, 3, 4),
    "size": SIZE_NAMES,
    "texture": TEXTURE_NAMES,
    "place": PLACE_NAMES,
    "second colour": ("", *COLOUR_NAMES),
    "second shape": ("", *SHAPE_NAMES),
    "lettering": ("", *LETTERING),
}


def _targets(scene: Scene) -> list[int]:
    pair = scene.words.split() if scene.family == "pair" else ["", ""]
    seen = {
        **{name: getattr(scene, name) for name in tuple(_CHOICES)[:8]},
        "second colour": pair[0],
        "second shape": pair[1],
        "lettering": scene.words if scene.family == "lettering" else "",
    }
    return [names.index(seen[field]) for field, names in _CHOICES.items()]


class ReadOuts(nn.Module):
    """Linear read-outs of every attribute and of each kind of bad picture from one hidden state."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = [len(names) for names in _CHOICES.values()] + [len(BAD_NAMES)]
        self.all = nn.Linear(WIDTH, sum(self.sizes))

    def loss(self, state: Tensor, wanted: Tensor, bad: Tensor) -> Tensor:
        """Sum of cross-entropies; state [N,WIDTH], wanted [N,attributes], bad [N,kinds] of 0 and 1."""
        *choices, flags = self.all(state).split(self.sizes, 1)
        told = sum(nnf.cross_entropy(logits, wanted[:, i]) for i, logits in enumerate(choices))
        return cast(Tensor, told) + nnf.binary_cross_entropy_with_logits(flags, bad) * len(BAD_NAMES)


def token_rows(texts: list[str], length: int = TOKENS) -> Tensor:
    """CLIP tokens of the texts, cut and padded with end tokens as SD 1.x does; int64 [N,length]."""
    rows = tokenizer()(texts, truncation=True, max_length=length, padding="max_length")["input_ids"]
    return torch.tensor(rows)


def _foreign(rng: random.Random, row: list[int]) -> list[int]:
    """The row with one to three random words of the vocabulary put in somewhere before its end, in one case of five."""
    end = row.index(NULL_TOKEN)
    if rng.random() < 0.8 or end > len(row) - 5:
        return row
    at = rng.randint(1, end)
    return [*row[:at], *(rng.randrange(49152) for _ in range(rng.randint(1, 3))), *row[at:]][: len(row)]


def _batch(rng: random.Random, size: int, length: int, level: QualityWords) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    scenes = [replace(any_scene(rng), bad=draw_bad(rng, BAD_SHARE)) for _ in range(size)]
    texts = ["" if rng.random() < EMPTY else caption(rng, scene, level) for scene in scenes]
    rows = token_rows(texts, length).tolist()
    tokens = torch.tensor([_foreign(rng, row) for row in rows])
    ends = (tokens == NULL_TOKEN).int().argmax(1)
    bad = torch.tensor([[float(name in scene.bad) for name in BAD_NAMES] for scene in scenes])
    return tokens, ends, torch.tensor([_targets(scene) for scene in scenes]), bad


def train_text_encoder(
    model: CLIPTextModel, level: QualityWords, steps: int, batch: int, seed: int, report: Report
) -> None:
    """Train `model` in place: 32 tokens for three quarters of the steps, then all 77."""
    rng = random.Random(f"text/{seed}")
    torch.manual_seed(seed)
    heads = ReadOuts()
    weights = MasterWeights(nn.ModuleList([model, heads]), rate=2e-3, steps=steps)
    for step in range(steps):
        length = 32 if step < 0.75 * steps else TOKENS
        tokens, ends, wanted, bad = _batch(rng, batch, length, level)
        states = model(input_ids=tokens).last_hidden_state
        rows = torch.arange(batch)
        later = ends + (torch.rand(batch) * (length - ends)).long()
        loss = heads.loss(states[rows, ends], wanted, bad) + heads.loss(states[rows, later], wanted, bad)
        weights.step(loss / 2)
        report(step, {"loss": float(loss.detach()) / 2})
    weights.settle()
