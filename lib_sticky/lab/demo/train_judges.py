"""Training of the judges on renders, some of them seen through the autoencoder; held-out accuracy goes along.

python -m lib_sticky.lab.demo.train_judges
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as nnf
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import Tensor

from lib_sticky.lab.demo.autoencoder import encode
from lib_sticky.lab.demo.examples import CHUNK, chunk
from lib_sticky.lab.demo.judges import MOST, WEIGHTS, Judgement, JudgeNet, judge
from lib_sticky.lab.demo.layout import CHECKPOINT
from lib_sticky.lab.demo.master_weights import MasterWeights
from lib_sticky.lab.demo.number_format import quick_format
from lib_sticky.lab.demo.scene import Scene, any_scene, objects_scene
from lib_sticky.lab.demo.words import BAD_NAMES, COLOUR_NAMES, SHAPE_NAMES
from lib_sticky.studio.checkpoint import load_sd

SEED = 771
BAD_SHARE = 0.5
THROUGH_EVERY = 4
THROUGH_SHARE = 0.6
SHIFT = 3
CROWDED = 0.06


def _scene(rng: random.Random) -> Scene:
    """Any scene, or one with an object more than captions ask for, so that the fifth does not pass for the fourth."""
    return objects_scene(rng, count=MOST) if rng.random() < CROWDED else any_scene(rng)


def _targets(scenes: list[Scene]) -> tuple[Tensor, Tensor, Tensor]:
    """Shape, colour and count indices [N,3]; whether they may be asked [N]; each bad kind and clean as 0 or 1."""
    choices = torch.tensor([[SHAPE_NAMES.index(s.shape), COLOUR_NAMES.index(s.colour), s.count - 1] for s in scenes])
    asked = torch.tensor([float(s.family == "objects" and "cropped" not in s.bad) for s in scenes])
    quality = torch.tensor([[*(float(name in s.bad) for name in BAD_NAMES), float(not s.bad)] for s in scenes])
    return choices, asked, quality


def through(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """Pictures uint8 after a round trip through the autoencoder, float32 in 0..1."""
    with torch.no_grad():
        latents = encode(vae, pictures)
        parts = [vae.decode(z.to(vae.dtype), return_dict=False)[0].float() for z in latents.split(25)]
    return torch.cat(parts).add(1).div(2).clamp(0, 1)


def accuracy(said: Judgement, scenes: list[Scene]) -> dict[str, float]:
    """Shares that are right, over pictures that may be asked: clean ones for the subject, all for the quality."""
    choices, asked, quality = _targets(scenes)
    fair = (asked * quality[:, -1]).bool()
    clean = quality[:, -1].bool()
    result = {
        "shape": (said.shape == choices[:, 0])[fair].float().mean(),
        "colour": (said.colour == choices[:, 1])[fair].float().mean(),
        "count": (said.count == choices[:, 2] + 1)[fair].float().mean(),
        "clean called clean": (said.clean > 0.5)[clean].float().mean(),
        "bad called clean": (said.clean > 0.5)[~clean].float().mean(),
    }
    for i, name in enumerate(BAD_NAMES):
        only = (quality[:, i] == 1) & (quality.sum(1) == 1)
        result[f"only {name} called clean"] = (said.clean > 0.5)[only].float().mean()
    return {name: round(float(value), 4) for name, value in result.items()}


def _varied(x: Tensor, draw: torch.Generator) -> Tensor:
    """The batch mirrored in half of the cases and shifted by a few pixels, which changes no answer."""
    if torch.rand((), generator=draw) < 0.5:
        x = x.flip(3)
    down, across = (int(v) for v in torch.randint(-SHIFT, SHIFT + 1, (2,), generator=draw))
    return torch.roll(x, (down, across), (2, 3))


def train(pictures: Tensor, scenes: list[Scene], seen: Tensor, steps: int, batch: int) -> JudgeNet:
    """Train a fresh net on pictures uint8 [N,3,128,128].

    `seen` are the rows that went through the autoencoder; they make up THROUGH_SHARE of each batch.
    """
    torch.manual_seed(SEED)
    net = JudgeNet().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    choices, asked, quality = _targets(scenes)
    weights = MasterWeights(net, rate=2e-3, steps=steps)
    draw = torch.Generator().manual_seed(SEED)
    started = time.monotonic()
    for step in range(steps):
        rows = torch.randint(len(scenes), (batch,), generator=draw)
        again = seen[torch.randint(len(seen), (batch,), generator=draw)]
        rows = torch.where(torch.rand(batch, generator=draw) < THROUGH_SHARE, again, rows)
        x = _varied(pictures[rows].float().div(255), draw).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=quick_format() is torch.bfloat16):
            _, (shape, colour, count, good) = net(x)
        loss = torch.zeros(())
        for i, logits in enumerate((shape, colour, count)):
            loss = loss + (nnf.cross_entropy(logits.float(), choices[rows, i], reduction="none") * asked[rows]).mean()
        loss = loss + 4 * nnf.binary_cross_entropy_with_logits(good.float(), quality[rows])
        weights.step(loss)
        if step % 100 == 0:
            seconds = time.monotonic() - started
            print(f"judges {step}/{steps} loss {float(loss.detach()):.3f} {seconds:.0f} s", flush=True)
    return net.eval()


def main(argv: list[str] | None = None) -> int:
    """Train, measure on held-out renders that went through the autoencoder, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--chunks", type=int, default=300, help=f"chunks of {CHUNK} pictures to train on")
    parser.add_argument("--held-out", type=int, default=5, help="chunks to measure on")
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args(argv)
    vae = load_sd(args.model).vae.to(quick_format())
    made = [chunk(SEED, number, BAD_SHARE, _scene) for number in range(args.chunks)]
    scenes = [scene for _, part in made for scene in part]
    pictures = [
        part if i % THROUGH_EVERY else through(vae, part).mul(255).round().byte() for i, (part, _) in enumerate(made)
    ]
    seen = torch.tensor([row for row in range(len(scenes)) if row // CHUNK % THROUGH_EVERY == 0])
    net = train(torch.cat(pictures), scenes, seen, args.steps, args.batch)
    held = [chunk(SEED + 1, number, BAD_SHARE, _scene) for number in range(args.held_out)]
    said = judge(torch.cat([through(vae, part) for part, _ in held]), net)
    right = accuracy(said, [scene for _, part in held for scene in part])
    print(json.dumps(right, indent=2))
    state = {name: value.half().contiguous() for name, value in net.state_dict().items()}
    save_file(state, str(args.out), metadata={"format": "pt", "held_out": json.dumps(right)})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
