"""From an infotext, the studio's own or A1111's, back to a job."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from PIL import Image

from lib_sticky.infotext import KEY, load
from lib_sticky.lab.png import CHUNK
from lib_sticky.studio.job import SAMPLER_NAMES, Job, JobError

_PARAM = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_NEGATIVE = "Negative prompt:"
_LEAST_PARAMS = 3
"""A last line of fewer parameters is a part of the prompt (A1111 modules/infotext_utils.py)."""

_NUMBERS = {"Steps": "steps", "Seed": "seed", "Clip skip": "clip_skip"}


def of_picture(path: Path) -> str:
    """The infotext in a PNG file. JobError when it has none."""
    with Image.open(path) as picture:
        text = picture.info.get(CHUNK)
    if not isinstance(text, str):
        raise JobError("infotext", f"{path.name} carries no infotext")
    return text


def job_of(text: str) -> Job:
    """The job that `text` describes; what it does not name keeps its default. JobError or ConfigError names the key."""
    prompt, negative, params = _parts(text)
    job = Job(prompt=prompt, negative=negative)
    for key, field in _NUMBERS.items():
        if key in params:
            job = replace(job, **{field: int(_number(key, params[key]))})
    if "CFG scale" in params:
        job = replace(job, cfg=_number("CFG scale", params["CFG scale"]))
    if params.get("Sampler") in SAMPLER_NAMES:
        job = replace(job, sampler=params["Sampler"])
    width, cross, height = params.get("Size", "").partition("x")
    if cross:
        job = replace(job, width=int(_number("Size", width)), height=int(_number("Size", height)))
    return replace(job, config=load(params[KEY])) if KEY in params else job


def _parts(text: str) -> tuple[str, str, Mapping[str, str]]:
    *lines, last = text.strip().split("\n")
    found = {key: _unquoted(value) for key, value in _PARAM.findall(last)}
    if len(found) < _LEAST_PARAMS:
        lines, found = [*lines, last], {}
    start = next((i for i, line in enumerate(lines) if line.startswith(_NEGATIVE)), len(lines))
    negative = "\n".join(lines[start:])[len(_NEGATIVE) :]
    return "\n".join(lines[:start]).strip(), negative.strip(), found


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    try:
        return str(json.loads(value))
    except ValueError:
        return value


def _number(key: str, written: str) -> float:
    try:
        return float(written)
    except ValueError:
        raise JobError(key, f"{key}: {written!r} is not a number") from None
