"""LoRAs on one side of the guidance of a diffusers pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib_sticky.hosts.neglora import FIELD
from lib_sticky.lora.load import Strong
from lib_sticky.lora.places import Places, text_places, unet_places
from lib_sticky.lora.sides import SidedLoras
from lib_sticky.merge.errors import CheckpointError
from lib_sticky.option import ConfigError


def sided(pipe: Any, loras: Sequence[Strong], *, both: bool) -> SidedLoras:
    """`loras` for a StableDiffusionPipeline or StableDiffusionXLPipeline.

    Raises ConfigError that names a file which is damaged or not for this model.
    """
    try:
        return SidedLoras(loras, unet_places(pipe.unet), pipe_text_places(pipe), both=both)
    except CheckpointError as error:
        raise ConfigError(FIELD, str(error)) from error


def pipe_text_places(pipe: Any) -> Places:
    """The text encoders' layers under kohya's names, which number the encoders only where there are two."""
    second = getattr(pipe, "text_encoder_2", None)
    if second is None:
        return text_places(pipe.text_encoder, "lora_te")
    return {**text_places(pipe.text_encoder, "lora_te1"), **text_places(second, "lora_te2")}
