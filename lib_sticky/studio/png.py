"""The infotext of the studio's pictures, as A1111 writes it."""

from __future__ import annotations

import json
from typing import Any

from lib_sticky import __version__
from lib_sticky.infotext import ACTED_KEY, KEY, dump
from lib_sticky.studio.job import Job


def infotext(job: Job, index: int, model: str, acted: str | None = None) -> str:
    """How picture `index` of the job was made, as A1111's `create_infotext` writes it (modules/processing.py).

    The negative stands as typed; what Sticky made of it follows from the `Sticky` key. acted: what techniques did,
    where some were asked for.
    """
    params: dict[str, Any] = {
        "Steps": job.steps,
        "Sampler": job.sampler,
        "Schedule type": "Automatic",
        "CFG scale": f"{job.cfg:g}",
        "Seed": job.seed + index,
        "Size": f"{job.width}x{job.height}",
        "Model": model,
        "Clip skip": job.clip_skip if job.clip_skip > 1 else None,
        "RNG": "CPU",
        KEY: dump(job.config),
        ACTED_KEY: acted,
        "Version": f"sticky studio {__version__}",
    }
    last = ", ".join(f"{name}: {_quoted(str(value))}" for name, value in params.items() if value is not None)
    negative = f"\nNegative prompt: {job.negative}" if job.negative else ""
    return f"{job.prompt}{negative}\n{last}".strip()


def _quoted(value: str) -> str:
    """`value` in JSON's quotes where A1111's reader would cut it (modules/infotext_utils.py, quote)."""
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ",:\n") else value
