"""What a job asks of negative LoRAs: which files, on which side and steps, and the negative without their tags."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lib_sticky.config import Config
from lib_sticky.guidance.interval import Interval, covers
from lib_sticky.lora.load import Strong
from lib_sticky.neglora_fields import BOTH_SIDES
from lib_sticky.option import ConfigError
from lib_sticky.prompt.neglora import NegLora, NegLoraError, listed, taken

FIELD = "neglora"

_ENDING = ".safetensors"

Find = Callable[[str], Path | None]
"""From the name that a user gave a LoRA to its file, or None."""


@dataclass(frozen=True)
class Asked:
    """The LoRAs of one batch; none of strength 0 is among them, and none at all where they act on no step."""

    loras: tuple[Strong, ...]
    both: bool
    interval: Interval

    def act(self, step: int, total: int) -> bool:
        """Whether they act on 0-based `step` of `total`."""
        return bool(self.loras) and covers(self.interval, step, total)


def in_folder(folder: Path, name: str) -> Path | None:
    """The file in or below a LoRA folder that `name` means, with its folders or without; links are followed.

    Only files that are found there are compared with the name, so that no name leads elsewhere.
    """
    wanted = name.replace("\\", "/").removesuffix(_ENDING)
    listed_files = sorted(
        Path(parent, file)
        for parent, _, files in os.walk(folder, followlinks=True)
        for file in files
        if file.endswith(_ENDING)
    )
    by_name = {path.relative_to(folder).as_posix().removesuffix(_ENDING): path for path in listed_files}
    return by_name.get(wanted) or next((path for path in listed_files if path.stem == wanted), None)


def untagged(negative: str) -> str:
    """A negative prompt as it is encoded; raises ConfigError for a tag that cannot be understood."""
    return _taken(negative)[0]


def asked(config: Config, negatives: Sequence[str], find: Find) -> Asked:
    """What `config` and the tags in the `negatives` of one batch ask for.

    Raises ConfigError for a name that no file has, and where the pictures of the batch ask for different LoRAs: they
    share one model call, and the hosts, too, use one set of LoRAs a batch.
    """
    tagged = list(dict.fromkeys(_taken(negative)[1] for negative in negatives))
    if len(tagged) > 1:
        raise ConfigError(FIELD, "the negatives of this batch name different negative LoRAs; use batch size 1")
    try:
        wanted = (*listed(config.neglora, config.neglora_strength), *(tagged[0] if tagged else ()))
    except NegLoraError as error:
        raise ConfigError(FIELD, str(error)) from None
    interval = Interval(config.neglora_start, config.neglora_stop)
    never = interval.start == interval.stop
    loras = () if never else tuple(_found(each, find) for each in wanted if each.strength)
    return Asked(loras, config.neglora_side == BOTH_SIDES, interval)


def _taken(negative: str) -> tuple[str, tuple[NegLora, ...]]:
    try:
        return taken(negative)
    except NegLoraError as error:
        raise ConfigError(FIELD, str(error)) from None


def _found(lora: NegLora, find: Find) -> Strong:
    path = find(lora.name)
    if path is None:
        raise ConfigError(FIELD, f"there is no LoRA file {lora.name!r}; write a name as the LoRA folder has it")
    return Strong(path, lora.strength)
