"""What is asked of the commands `neglora train` and `neglora compare`, and the arguments that say it."""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib_sticky.api.answers import known_fields
from lib_sticky.api.merge_orders import ENDING
from lib_sticky.api.programs import Program
from lib_sticky.api.wrong_orders import plain_name
from lib_sticky.config import ConfigError
from lib_sticky.lab.dataset import MANIFEST
from lib_sticky.lora.train import Pace
from lib_sticky.merge.output_file import file_sha256
from lib_sticky.option import Option, check, option
from lib_sticky.prompt.wrong import CAPTION

_PACE = Pace()


@dataclass(frozen=True)
class _Checked:
    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check(field.name, field.metadata["option"], field.default, getattr(self, field.name))


@dataclass(frozen=True)
class Train(_Checked):
    """A training. ConfigError names a field that cannot be used."""

    name: str = option("wrong", label="Name", help="Of the LoRA.")
    rank: int = option(8, label="Rank", help="Of the factors.", minimum=1, maximum=256, step=1)
    alpha: float = option(0.0, label="Alpha", help="Scale times the rank; 0: the rank.", minimum=0, maximum=256, step=1)
    steps: int = option(
        _PACE.steps, label="Steps", help="More of them later go on from there.", minimum=1, maximum=100_000, step=1
    )
    batch: int = option(_PACE.batch, label="Batch size", help="Pictures a step.", minimum=1, maximum=64, step=1)
    rate: float = option(_PACE.rate, label="Learning rate", help="Of AdamW.", minimum=1e-7, maximum=1.0, step=1e-7)
    seed: int = option(_PACE.seed, label="Seed", help="Of the training.", minimum=0, maximum=2**31 - 1, step=1)
    size: int = option(0, label="Size", help="Side of the pictures; 0: the model's.", minimum=0, maximum=2048, step=64)
    text_encoder: bool = option(False, label="Text encoder", help="Train it too.")
    bf16: bool = option(False, label="bfloat16", help="Hold the model in half the memory.")
    checkpointing: bool = option(False, label="Checkpointing", help="Less memory for more time.")
    sample_prompt: str = option("", label="Sample prompt", help="Of the pictures made on the way.")


@dataclass(frozen=True)
class Compare(_Checked):
    """A comparison of the five arms. ConfigError names a field that cannot be used."""

    word: str = option(CAPTION, label="Word", help="That the LoRA was trained under.")
    strength: float = option(1.0, label="Strength", help="Of the LoRA.", minimum=-4, maximum=4, step=0.05)
    pictures: int = option(96, label="Pictures", help="Of each of the five arms.", minimum=1, maximum=2048, step=1)
    seed: int = option(1, label="First seed", help="Each picture has its own.", minimum=0, maximum=2**31 - 1, step=1)
    cfg: float = option(7.0, label="CFG scale", help="Of all arms.", minimum=1, maximum=30, step=0.5)
    steps: int = option(20, label="Steps", help="Sampling steps.", minimum=1, maximum=150, step=1)


Options = Mapping[str, Option]
TRAIN: Options = {field.name: field.metadata["option"] for field in dataclasses.fields(Train)}
COMPARE: Options = {field.name: field.metadata["option"] for field in dataclasses.fields(Compare)}
_ALSO_TRAIN, _ALSO_COMPARE = ("set",), ("set", "name", "prompts")


@dataclass(frozen=True)
class Shelf:
    """Where sets, their LoRAs and reports are (`sets`), and where the host looks for LoRAs, if it does anywhere."""

    sets: Path
    loras: Path | None

    def folder(self, name: Any) -> Path:
        """The folder of a set; ConfigError where it has no pictures."""
        folder = self.sets / plain_name(name)
        if not (folder / MANIFEST).is_file():
            raise ConfigError("set", f"there is no set {folder.name!r}; make its pictures first")
        return folder

    def trained(self, name: Any, lora: Any) -> Path:
        """The LoRA that was trained on a set; ConfigError where there is none."""
        path = self.folder(name) / "lora" / f"{plain_name(lora)}{ENDING}"
        if not path.is_file():
            raise ConfigError("name", f"no LoRA {path.stem!r} was trained on the set {str(name)!r}; train one first")
        return path


def training(body: Any, shelf: Shelf, model: Path) -> Program:
    """The program that trains on the set named in a request's JSON; ConfigError names the bad field."""
    form = known_fields(body, (*_ALSO_TRAIN, *TRAIN), "a training")
    folder = shelf.folder(form.pop("set", "wrong"))
    order = Train(**form)
    name, out = plain_name(order.name), folder / "lora"
    values = {**changed(dataclasses.replace(order, name=name)), "data": folder, "out": out, "model": model}

    def finished(_said: str) -> str:
        return _shelved(out / f"{name}{ENDING}", shelf.loras)

    return Program(f"train {name}", ("neglora", "train", *_flags(values)), finished)


def comparison(body: Any, shelf: Shelf, model: Path) -> Program:
    """The program that compares a LoRA of a set in five arms; `prompts` is a list. ConfigError names the bad field."""
    form = known_fields(body, (*_ALSO_COMPARE, *COMPARE), "a comparison")
    name, prompts = form.pop("set", "wrong"), form.pop("prompts", [])
    lora = shelf.trained(name, form.pop("name", "wrong"))
    if not isinstance(prompts, list) or not prompts or not all(isinstance(text, str) for text in prompts):
        raise ConfigError("prompts", "give a list of one prompt or more")
    order = Compare(**form)
    values = {**changed(order), "lora": lora, "out": lora.parent.parent, "model": model}
    chosen = [f"--prompt={text}" for text in prompts]
    return Program(f"compare {lora.stem}", ("neglora", "compare", *_flags(values), *chosen), lambda said: said)


def changed(order: Train | Compare) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    values = ((field, getattr(order, field.name)) for field in dataclasses.fields(order))
    return {field.name: value for field, value in values if value != field.default}


def _flags(values: Mapping[str, Any]) -> list[str]:
    """With `=`, so that a text may begin with a dash."""
    named = ((f"--{name.replace('_', '-')}", value) for name, value in values.items())
    return [flag if value is True else f"{flag}={value}" for flag, value in named]


def _shelved(lora: Path, folder: Path | None) -> str:
    """Copy a finished LoRA to where the host looks for LoRAs, beside and never over another; says where it is."""
    if folder is None:
        return f"done: {lora}"
    folder.mkdir(parents=True, exist_ok=True)
    own, number, name = file_sha256(lora), 1, lora.stem
    while (folder / f"{name}{ENDING}").exists() and file_sha256(folder / f"{name}{ENDING}") != own:
        number += 1
        name = f"{lora.stem}-{number}"
    partial = folder / f".{secrets.token_hex(8)}.part"
    shutil.copyfile(lora, partial)
    os.replace(partial, folder / f"{name}{ENDING}")
    return f"done; it is the LoRA {name}, such as <neglora:{name}:0.3> in a negative prompt"
