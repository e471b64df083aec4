"""The modules of a UNet that guidance reaches into, under one set of names for every host's form of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch.nn import Module


class NoUNet(ValueError):
    """The model is not built as a UNet, so nothing that reaches into one can act on it."""


@dataclass(frozen=True)
class Decoding:
    """A residual block of the decoder; `below` of its input's channels come from below, the others are the skip."""

    block: Module
    below: int


@dataclass(frozen=True)
class UNetParts:
    """whole: the UNet. middle: self-attention layers of its middle block. encoder: transformer blocks of the
    downsampling half."""

    whole: Module
    middle: tuple[Any, ...]
    encoder: tuple[Module, ...]
    decoder: tuple[Decoding, ...]

    @property
    def widths(self) -> tuple[int, int]:
        """Channels of the widest decoder stage and of the next (0 where all stages are alike): FreeU's two."""
        found = sorted({decoding.below for decoding in self.decoder}, reverse=True)
        return found[0], found[1] if len(found) > 1 else 0


def parts_of(unet: Any) -> UNetParts:
    """The parts of a UNet in diffusers' form, or in that of the original code, which every WebUI keeps.

    Raises NoUNet for anything else (Flux, SD3 and other transformers).
    """
    if hasattr(unet, "mid_block") and hasattr(unet, "up_blocks"):
        residuals = [resnet for block in unet.up_blocks for resnet in block.resnets]
        return _parts(unet, unet.mid_block, unet.down_blocks, residuals, unet.mid_block.resnets[-1])
    if hasattr(unet, "middle_block") and hasattr(unet, "output_blocks"):
        residuals = [block[0] for block in unet.output_blocks]
        return _parts(unet, unet.middle_block, unet.input_blocks, residuals, unet.middle_block[-1])
    raise NoUNet(f"{type(unet).__name__} is no UNet; PAG, SEG, SAG, TPG and FreeU act on UNets only")


def _parts(whole: Module, middle: Module, encoder: Module, residuals: list[Any], last: Any) -> UNetParts:
    return UNetParts(
        whole,
        tuple(block.attn1 for block in _transformer_blocks(middle)),
        tuple(_transformer_blocks(encoder)),
        tuple(_decoder(residuals, last.out_channels)),
    )


def _transformer_blocks(half: Module) -> Iterator[Any]:
    return (module for module in half.modules() if hasattr(module, "attn1"))


def _decoder(residuals: list[Any], below: int) -> Iterator[Decoding]:
    for block in residuals:
        yield Decoding(block, below)
        below = block.out_channels
