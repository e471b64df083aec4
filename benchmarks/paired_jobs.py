"""Whole jobs of a running WebUI in pairs, timed and counted."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lib_sticky.lab.intervals import bootstrap
from tests.live.webui import Answer, call

Make = Callable[[dict[str, Any], int], Answer]
"""From a payload and a side, 0 or 1, to the finished job."""


def timed(make: Make, payload: dict[str, Any], pairs: int, warm_up: int, *, new: bool, alike: bool) -> list[Any]:
    """Seconds of both sides, a tuple a pair; the two sides take turns to go first, and each follows one of its own.

    new: every job has a prompt of its own. alike: raise RuntimeError where the two sides differ in a pixel.
    """
    found: list[tuple[float, float]] = []
    for index in range(warm_up + pairs):
        before, after = (_numbered(payload, 2 * index + turn if new else 0) for turn in (0, 1))
        seconds, pictures = [0.0, 0.0], [b"", b""]
        for side in (0, 1) if index % 2 else (1, 0):
            make(before, side)
            started = time.perf_counter()
            made = make({**after, "seed": index}, side)
            seconds[side] = time.perf_counter() - started
            pictures[side] = made.pixels[0].tobytes()
        if alike and pictures[0] != pictures[1]:
            raise RuntimeError("the two sides gave different pictures; their times cannot be compared")
        found.append((seconds[0], seconds[1]))
    return found[warm_up:]


def _numbered(payload: dict[str, Any], number: int) -> dict[str, Any]:
    """The same job of another prompt with as many tokens."""
    return {**payload, "prompt": f"{payload['prompt']}, {number:03d}"}


def counted(make: Make, payload: dict[str, Any], url: str) -> tuple[str, str]:
    """UNet calls of each side, as tests/live/nested_job counts them where the host has it in its extensions."""
    scripts = {script["name"] for script in call("/sdapi/v1/script-info", url=url)}
    if "count calls" not in scripts:
        return "not counted", "not counted"
    counting = {**payload, "alwayson_scripts": {"Count calls": {"args": [True]}}}
    one, other = (
        make(counting, side).infotexts[0].rsplit("UNet calls: ", 1)[1].split(",")[0].split("\n")[0] for side in (0, 1)
    )
    return one, other


def row(name: str, pairs: list[Any], calls: tuple[str, str]) -> str:
    """A line of a table: median seconds of each side, their ratio with its 95% interval, UNet calls."""
    ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = bootstrap([one / other for one, other in pairs], np.median)
    cells = (f"{ours:.2f}", f"{theirs:.2f}", f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}", *calls)
    return f"| {name} | {' | '.join(cells)} |"


def arguments(about: str | None, host: str) -> argparse.ArgumentParser:
    """The command line that these benchmarks share; `host` says which WebUI the address must be of."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help=host)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3, help="pairs that are not counted")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=128)
    return parser


def print_heading(options: argparse.Namespace, settings: str) -> None:
    """The host, the settings and the load that the figures are of."""
    about = call("/sticky/v1/version", url=options.url)
    print(f"{about['host']} {about['host_version']}, {options.size}x{options.size}, {options.steps} steps, {settings}")
    print(f"{options.pairs} pairs after {options.warm_up} of warm-up, load {os.getloadavg()[0]:.1f} at the start\n")


def payload_of(options: argparse.Namespace, prompt: str, cfg: float, extra: dict[str, Any]) -> dict[str, Any]:
    """A txt2img request of the settings."""
    size = {"width": options.size, "height": options.size}
    fixed = {"seed": 7, "sampler_name": "Euler", "save_images": False}
    return {"prompt": prompt, "steps": options.steps, "cfg_scale": cfg, **size, **fixed, **extra}
