"""What the pictures of the study should show, and what can be said of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lib_sticky.lab.compare import blank
from lib_sticky.lab.contrast import nothing_stands_out
from lib_sticky.lab.demo.arms import Prompts
from lib_sticky.lab.demo.finetune import HALVES
from lib_sticky.lab.demo.judges import judge
from lib_sticky.lab.metrics import METRICS
from lib_sticky.lab.planes import Planes

MOST = 20_000
"""Prompts that are drawn for the shipped model; each is used once."""
_SIDE = 128
_METRICS = ("saturation", "contrast", "high frequency share")
_LOW, _HIGH = 1 / 255, 254 / 255


@dataclass(frozen=True)
class Subjects:
    """Prompts, one a picture; with the shipped model also the scenes that they describe, which its judges know."""

    texts: Sequence[str]
    prompts: Prompts | None

    @classmethod
    def of(cls, judged: bool, file: Path | None) -> Subjects:
        """The prompts of `file`, or those of the shipped model; ValueError where there are none."""
        if file is not None:
            texts = [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
            if not texts:
                raise ValueError(f"{file} holds no prompt; write one a line")
            return cls(texts, None)
        if not judged:
            raise ValueError("this model needs --prompts FILE, one prompt a line")
        drawn = Prompts.held_out(MOST)
        return cls(drawn.texts, drawn)

    @property
    def judged(self) -> bool:
        """Whether the shipped model's judges can say what is right."""
        return self.prompts is not None

    def digest(self) -> str:
        """Changes with the prompts."""
        return hashlib.sha256("\n".join(self.texts).encode()).hexdigest()[:16]

    def text(self, number: int) -> str:
        """The prompt of picture `number`; a file's prompts are used over and over, with other seeds."""
        return self.texts[number % len(self.texts)]

    def colours(self) -> Mapping[str, Sequence[bool]]:
        """Which pictures ask for a colour of each half that the fine-tunes were made on."""
        scenes = self.prompts.scenes if self.prompts else []
        return {half: [scene.colour in names for scene in scenes] for half, names in HALVES.items()}

    def said(self, numbers: range, pictures: Sequence[Image.Image]) -> list[dict[str, bool]]:
        """What is true of each picture; one larger than the judges know is averaged down to their size first."""
        plain = [Planes.of(picture) for picture in pictures]
        said = [{"blank": blank(each), "nothing there": nothing_stands_out(each)} for each in plain]
        if self.prompts is None:
            return said
        small = [picture.resize((_SIDE, _SIDE), Image.Resampling.BOX) for picture in pictures]
        found = judge(torch.from_numpy(np.stack([np.asarray(each) for each in small])).permute(0, 3, 1, 2) / 255)
        part = Prompts(
            self.prompts.texts[numbers[0] :][: len(numbers)], self.prompts.scenes[numbers[0] :][: len(numbers)]
        )
        shape, colour, _ = part.right(found)
        for index, each in enumerate(said):
            there = not each["nothing there"]
            each["right"] = bool(shape[index] & colour[index]) and there
            each["right colour"] = bool(colour[index]) and there
            each["clean"] = bool(found.clean[index] > 0.5) and there
        return said


def measured(picture: Image.Image) -> dict[str, float]:
    """The figures of one picture that the tables show."""
    planes = Planes.of(picture)
    clipped = ((planes.weakest <= _LOW) | (planes.strongest >= _HIGH)).mean()
    return {"clipped": float(clipped), **{name: METRICS[name](planes) for name in _METRICS}}
