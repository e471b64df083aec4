"""What is measured of one way of sampling: pictures of held-out prompts, judged; intervals are 95 %."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from lib_sticky.lab.demo.captions import subject
from lib_sticky.lab.demo.diffusion import text_states
from lib_sticky.lab.demo.frechet import frechet_distance
from lib_sticky.lab.demo.judges import Judgement, judge
from lib_sticky.lab.demo.sampling import SAMPLER, decode, sample
from lib_sticky.lab.demo.scene import Scene, objects_scene
from lib_sticky.lab.demo.words import COLOUR_NAMES, SHAPE_NAMES

GAP_STEPS = (0, 10, 15)


@dataclass(frozen=True)
class Prompts:
    """Prompts of equal objects, with no quality word, and the scenes they describe."""

    texts: list[str]
    scenes: list[Scene]

    @classmethod
    def held_out(cls, count: int, seed: int = 90_000) -> Prompts:
        """Scenes from a generator that training never used; the wording comes from the same grammar."""
        rng = random.Random(f"held out/{seed}")
        pairs = [(scene, subject(rng, scene)) for scene in (objects_scene(rng) for _ in range(count))]
        return cls([text for _, text in pairs], [scene for scene, _ in pairs])

    def right(self, said: Judgement) -> tuple[Tensor, Tensor, Tensor]:
        """Which pictures have the prompt's shape, colour and count; bool [N] each."""
        shape = torch.tensor([SHAPE_NAMES.index(scene.shape) for scene in self.scenes])
        colour = torch.tensor([COLOUR_NAMES.index(scene.colour) for scene in self.scenes])
        count = torch.tensor([scene.count for scene in self.scenes])
        return said.shape == shape, said.colour == colour, said.count == count


@dataclass
class Arm:
    """Pictures of one way of sampling and what the judges say; `gap` is rms(x0 positive - x0 negative) by step."""

    pictures: Tensor
    clipped: float
    said: Judgement
    gap: dict[int, float] = field(default_factory=dict)


def run_arm(
    pipe: StableDiffusionPipeline,
    positive: Sequence[str],
    negative: Sequence[str],
    scale: float,
    seed: int,
    steps: int = 20,
    sampler: str = SAMPLER,
) -> Arm:
    """Sample one picture a prompt; picture i always starts from noise number (seed, i), whatever the arm."""
    text, gaps = pipe.text_encoder, dict.fromkeys(GAP_STEPS, 0.0)
    parts: list[Tensor] = []
    batch = 50

    def watch(step: int, toward: Tensor, away: Tensor) -> None:
        if step in gaps:
            gaps[step] += float((toward - away).square().mean()) * len(toward) / len(positive)

    for first in range(0, len(positive), batch):
        texts = list(positive[first : first + batch])
        seeds = (torch.Generator().manual_seed(seed + first + i) for i in range(len(texts)))
        noise = torch.cat([torch.randn(1, 4, 16, 16, generator=draw) for draw in seeds])
        states = text_states(text, texts)
        other = text_states(text, list(negative[first : first + batch]))
        parts.append(decode(pipe.vae, sample(pipe.unet, states, other, scale, noise, steps, watch, sampler)))
    raw = torch.cat(parts)
    clipped = float(((raw <= 0) | (raw >= 1)).float().mean())
    pictures = raw.clamp(0, 1)
    return Arm(pictures, clipped, judge(pictures), {step: math.sqrt(value) for step, value in gaps.items()})


def share(hits: Tensor) -> str:
    """A share in per cent with half the width of its 95 % Wilson interval."""
    count, mean, z = len(hits), float(hits.float().mean()), 1.96
    half = z * math.sqrt(mean * (1 - mean) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return f"{100 * mean:.1f}±{100 * half:.1f}"


def paired(first: Tensor, second: Tensor) -> str:
    """Mean of first - second over the same seeds, in points, with its 95 % interval."""
    difference = first.float() - second.float()
    mean, half = float(difference.mean()), 1.96 * float(difference.std()) / math.sqrt(len(difference))
    return f"{100 * mean:+.1f} [{100 * (mean - half):+.1f}, {100 * (mean + half):+.1f}]"


def summary(arm: Arm, prompts: Prompts, real: Tensor) -> dict[str, str]:
    """One row of the table; `real` are features of clean renders."""
    shape, colour, count = prompts.right(arm.said)
    clean = (arm.said.clean > 0.5) & ~arm.said.blank
    return {
        "shape and colour": share(shape & colour),
        "shape": share(shape),
        "colour": share(colour),
        "count": share(count),
        "clean, not blank": share(clean),
        "blank": share(arm.said.blank),
        "clipped values %": f"{100 * arm.clipped:.2f}",
        "Fréchet distance": f"{frechet_distance(arm.said.features, real):.1f}",
        "gap at steps 1 / 11 / 16": " / ".join(f"{value:.3f}" for value in arm.gap.values()) if arm.gap[0] else "-",
    }
