"""The LDM names of a diffusers UNet's modules, read from the names themselves, for any number of blocks a level."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .names import PLAIN, RESNET

_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")
_PLAIN = {theirs: own for own, theirs in PLAIN.items()}
_RESNET = {theirs: own for own, theirs in RESNET.items()}


@dataclass
class _Level:
    """One resolution of one side: how many residual blocks it has, and what stands beside them."""

    resnets: int = 0
    attends: bool = False
    samples: bool = False


def ldm_names(names: Iterable[str]) -> dict[str, str]:
    """LDM's name of every module among `names` that LDM has too, by the diffusers name.

    Blocks are numbered through all levels, as in CompVis' UNetModel (ldm/modules/diffusionmodules/openaimodel.py): on
    the way down a downsampler has a number of its own, on the way up an upsampler belongs to the block before it.
    """
    known = list(names)
    levels = {"down": _levels(known, "down"), "up": _levels(known, "up")}
    found = ((name, _ldm_name(name, levels)) for name in known)
    return {name: own for name, own in found if own}


def _levels(names: Iterable[str], side: str) -> dict[int, _Level]:
    levels: dict[int, _Level] = {}
    for match in filter(None, map(_BLOCK.fullmatch, names)):
        if match[1] != side:
            continue
        level = levels.setdefault(int(match[2]), _Level())
        if match[3] == "resnets":
            level.resnets = max(level.resnets, int(match[4]) + 1)
        elif match[3] == "attentions":
            level.attends = True
        else:
            level.samples = True
    return levels


def _ldm_name(name: str, levels: Mapping[str, Mapping[int, _Level]]) -> str:
    if name in _PLAIN:
        return _PLAIN[name]
    if match := _MIDDLE.fullmatch(name):
        place = 1 if match[1] == "attentions" else 2 * int(match[2])
        return f"middle_block.{place}.{_inner(match[1], match[3])}"
    match = _BLOCK.fullmatch(name)
    if not match:
        return ""
    side, number, part, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    before = (level for at, level in levels[side].items() if at < number)
    own = levels[side][number]
    if side == "down":
        start = 1 + sum(level.resnets + level.samples for level in before)
        if part == "downsamplers":
            return f"input_blocks.{start + own.resnets}.0.op" if rest == "conv" else ""
        return f"input_blocks.{start + index}.{int(part == 'attentions')}.{_inner(part, rest)}"
    start = sum(level.resnets for level in before)
    if part == "upsamplers":
        return f"output_blocks.{start + own.resnets - 1}.{1 + own.attends}.conv" if rest == "conv" else ""
    return f"output_blocks.{start + index}.{int(part == 'attentions')}.{_inner(part, rest)}"


def _inner(part: str, rest: str) -> str:
    return _RESNET.get(rest, rest) if part == "resnets" else rest
