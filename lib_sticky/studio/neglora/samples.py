"""What the LoRA in training does so far: pictures of its word, and with it on the negative side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image

from lib_sticky.config import Config
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.labelled import labelled
from lib_sticky.neglora_fields import BOTH_SIDES
from lib_sticky.studio.job import Job
from lib_sticky.studio.making import Made, make, settled

_SEEDS = 4
_STEPS, _SCALE = 16, 5.0
_COLUMNS = ("without", "its word, CFG 1", "on the negative side")


def save_samples(host: Diffusers, lora: Path, prompt: str, word: str, target: Path, step: int) -> None:
    """Write the same seeds without the LoRA, of its word, and with it on the negative side, as one picture."""
    plain = Job(prompt=prompt, sampler="Euler", steps=_STEPS, cfg=_SCALE, seed=1, batch=_SEEDS)
    own = replace(plain, prompt=word, cfg=1.0, config=Config(neglora=str(lora), neglora_side=BOTH_SIDES))
    away = replace(plain, negative=word, config=Config(neglora=str(lora)))
    columns = [_pictures(host, job) for job in (plain, own, away)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    title = f"after {step} steps, CFG {_SCALE:g}"
    sheet = labelled(title, _COLUMNS, [f"seed {1 + index}" for index in range(_SEEDS)], rows)
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)


def _pictures(host: Diffusers, job: Job) -> list[Image.Image]:
    made = (event for event in make(host, settled(job, host), "") if isinstance(event, Made))
    return list(next(made).pictures)
