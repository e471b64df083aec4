"""Where a comparison inside a WebUI is kept: the same place for the same comparison, so that it can go on."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from lib_sticky.hosts.comparison import Order
from lib_sticky.hosts.job_checkpoint import checkpoint, job_checkpoint
from lib_sticky.lab.folder_name import named

FOLDER = "sticky-compare"
_NOT_THE_JOB = {
    "sd_model", "outpath_samples", "outpath_grids", "user", "is_api", "script_args", "script_args_value",
    "negative_prompt", "hr_negative_prompt", "cfg_scale", "hr_cfg", "seed", "subseed", "subseed_strength", "n_iter",
    "do_not_save_samples", "do_not_save_grid", "batch_size",
}  # fmt: skip
"""Fields that every arm has its own of, or that change no picture."""


def folder_of(order: Order, own: slice) -> Path:
    """The folder of the comparison, below that of the host's pictures; `own`: the arguments of our own script."""
    p = order.p
    fields = {
        field.name: _plain(getattr(p, field.name, None))
        for field in dataclasses.fields(p)
        if field.name not in _NOT_THE_JOB
    }
    others = [_plain(value) for index, value in enumerate(p.script_args) if index not in range(own.start, own.stop)]
    models = {setting.model for setting in order.plan.settings}
    files = sorted(_file(checkpoint("checkpoints", name) if name else job_checkpoint(p)) for name in models)
    plan = [dataclasses.asdict(setting) for setting in order.plan.settings]
    told = [fields, others, files, plan, order.plan.first, order.plan.seeds, order.plan.batch]
    return Path(p.outpath_samples).resolve() / FOLDER / named(p.prompt, [*told, dataclasses.asdict(order.arms)])


def _file(info: Any) -> list[Any]:
    about = os.stat(info.filename)
    return [info.name, about.st_size, about.st_mtime_ns]


def _plain(value: Any) -> Any:
    """What JSON can hold of a value; pictures by their pixels, anything else by its kind."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, Image.Image):
        return hashlib.sha256(value.tobytes()).hexdigest()
    return type(value).__name__
