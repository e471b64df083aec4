"""What the shipped model's own judges say of its pictures, where both are in use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lib_sticky.lab.compare import Setting
from lib_sticky.lab.demo.judges import WEIGHTS, judge
from lib_sticky.lab.demo.words import COLOUR_NAMES, COLOUR_WORDS, SHAPE_NAMES, SHAPES
from lib_sticky.studio.comparing import Judge
from lib_sticky.studio.models import shipped

_SIDE = 128
_GROUND = re.compile(r"\bon (?:an? )?\w+(?: background)?\b|\b\w+ background\b")


def judge_for(model: Path, prompt: str, settings: Iterable[Setting]) -> Judge | None:
    """The judges, if `model` is the one that ships, they are there, and all pictures have the size they know."""
    sizes = {(setting.width, setting.height) for setting in settings}
    if model not in shipped() or not WEIGHTS.is_file() or sizes != {(_SIDE, _SIDE)}:
        return None
    shape, colour = wanted(prompt)

    def said(pictures: Sequence[Image.Image]) -> list[Mapping[str, bool]]:
        arrays = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
        found = judge(torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 255)
        return [
            {
                "judged clean, and not blank": bool(found.clean[i] > 0.5) and not bool(found.blank[i]),
                **({} if shape is None else {"judged right shape": int(found.shape[i]) == shape}),
                **({} if colour is None else {"judged right colour": int(found.colour[i]) == colour}),
            }
            for i in range(len(pictures))
        ]

    return said


def wanted(prompt: str) -> tuple[int | None, int | None]:
    """Indices of the shape and the colour that `prompt` asks for, None where it names none or several."""
    subject = _GROUND.sub(" ", prompt.lower())
    return _only(subject, SHAPE_NAMES, SHAPES), _only(subject, COLOUR_NAMES, COLOUR_WORDS)


def _only(text: str, names: Sequence[str], words: Mapping[str, Sequence[str]]) -> int | None:
    found = [i for i, name in enumerate(names) if any(re.search(rf"\b{word}(?:e?s)?\b", text) for word in words[name])]
    return found[0] if len(found) == 1 else None
