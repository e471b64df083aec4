"""Negative LoRAs in a WebUI's job: read before it samples, taken out of its texts, hung on each of its passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from lib_sticky.config import Config
from lib_sticky.hosts.layers import text_places_of, unet_of
from lib_sticky.hosts.neglora import FIELD, Asked, asked, in_folder, untagged
from lib_sticky.hosts.neglora_pass import NegLoraPass
from lib_sticky.lora.places import unet_places
from lib_sticky.lora.sides import SidedLoras
from lib_sticky.merge.errors import CheckpointError
from lib_sticky.option import ConfigError
from lib_sticky.prompt.neglora import TAG

_TEXTS = ("all_negative_prompts", "all_hr_negative_prompts")
_SLICES = ("negative_prompts", "hr_negative_prompts")


def tagged(p: Any) -> bool:
    """Whether some negative of the job names a negative LoRA."""
    return any(TAG in text for name in _TEXTS for text in getattr(p, name, None) or ())


def check(config: Config, p: Any) -> None:
    """Raise ConfigError unless every LoRA that the job names is there, whole, and for the loaded model."""
    wanted = {wanted_by(config, batch).loras for batch in _batches(p)}
    for loras in wanted - {()}:
        try:
            SidedLoras(loras, unet_places(unet_of(p.sd_model)), text_places_of(p.sd_model))
        except (CheckpointError, ValueError) as error:
            raise ConfigError(FIELD, str(error)) from error


def _batches(p: Any) -> Iterator[Sequence[str]]:
    """The negatives of every batch of both passes."""
    for texts in (getattr(p, name, None) for name in _TEXTS):
        if texts:
            yield from (texts[first : first + p.batch_size] for first in range(0, len(texts), p.batch_size))


def wanted_by(config: Config, negatives: Sequence[str]) -> Asked:
    """What `config` and the tags of one batch ask for."""
    return asked(config, negatives, _find)


def untag(p: Any) -> dict[bool, Sequence[str]]:
    """Take the tags out of the texts that the host is about to encode; the texts with them, by "is the hires pass".

    Hosts write the infotext from `all_negative_prompts`, which keep them.
    """
    found: dict[bool, Sequence[str]] = {}
    for hires, name in enumerate(_SLICES):
        texts = getattr(p, name, None)
        if texts:
            found[bool(hires)] = list(texts)
            setattr(p, name, [untagged(text) for text in texts])
    return found


def hung_on(p: Any, config: Config, negatives: Sequence[str]) -> NegLoraPass | None:
    """The LoRAs on the pass that `p` is in; None where none is wanted. `negatives` are its batch's, tags and all."""
    wanted = wanted_by(config, negatives)
    if not wanted.loras:
        return None

    def open_loras(unet: nn.Module) -> SidedLoras:
        return SidedLoras(wanted.loras, unet_places(unet), text_places_of(p.sd_model), both=wanted.both)

    return NegLoraPass(p, wanted, lambda: unet_of(p.sd_model), open_loras)


def lora_folder() -> Path:
    """Where the WebUI looks for LoRAs."""
    from modules import shared

    return Path(shared.cmd_opts.lora_dir)


def _find(name: str) -> Path | None:
    return in_folder(lora_folder(), name)
