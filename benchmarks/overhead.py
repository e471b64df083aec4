"""What the box ticked costs against the same negative typed by hand, on a running WebUI.

    python -m benchmarks.overhead http://127.0.0.1:7860 --pairs 20 --steps 20

Whole jobs over the API. Every job that is timed follows one of its own side, as it does for a user, because hosts keep
the encoded texts of the job before: by hand the negative itself, ticked the negative as typed. `new prompt`: each job
has a prompt of its own, so both sides encode the same texts. `same prompt`: nothing is new, so by hand nothing is
encoded at all, and ticked the tracked negative once, for it lives no longer than its job. The two sides take turns to
go first. UNet calls are counted where the host has tests/live/nested_job linked into its extensions
(tests/live/test_nested.py says how).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from typing import Any

import numpy as np

from lib_sticky.lab.intervals import bootstrap
from tests.live.webui import Answer, Refused, call, job

TERMS = "blurry, (bad:1.2)"
LONG = ", ".join(f"word{i} thing" for i in range(40))
STICKY = {"enabled": True, "terms": TERMS}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("a cat", {}),
    "over 75 tokens": (LONG, {}),
    "prompt editing": ("a [cat:dog:0.5]", {}),
    "batch of 4": ("a cat", {"batch_size": 4}),
}


def main() -> int:
    options = _parser().parse_args()
    counts = _can_count(options.url)
    about = call("/sticky/v1/version", url=options.url)
    print(f"{about['host']} {about['host_version']}, {options.size}x{options.size}, {options.steps} steps, Euler")
    print(f"{options.pairs} pairs after {options.warm_up} of warm-up, load {os.getloadavg()[0]:.1f} at the start\n")
    print("| case | ticked, s | by hand, s | ratio, median | its 95% interval | UNet calls, ticked | by hand |")
    print("|---|---|---|---|---|---|---|")
    for name, (prompt, extra) in CASES.items():
        if options.cases and name not in options.cases:
            continue
        payload = {
            "prompt": prompt,
            "seed": 7,
            "steps": options.steps,
            "width": options.size,
            "height": options.size,
            "cfg_scale": 9,
            "sampler_name": "Euler",
            "save_images": False,
            **extra,
        }
        calls = _counted(payload, options.url) if counts else ("not counted", "not counted")
        for new in (True, False):
            pairs = _timed(payload, new, options)
            print(_row(f"{name}, {'new' if new else 'same'} prompt", pairs, calls), flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="a running WebUI with the extension, started with --api")
    parser.add_argument("--cases", nargs="+", choices=CASES, help="all, when left out")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3, help="pairs that are not counted")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=128)
    return parser


def _timed(payload: dict[str, Any], new: bool, options: argparse.Namespace) -> list[tuple[float, float]]:
    """Seconds of both sides, a tuple a pair. Both sides give the same pixels, or RuntimeError."""
    pairs: list[tuple[float, float]] = []
    for index in range(options.warm_up + options.pairs):
        before, timed = (_numbered(payload, 2 * index + turn if new else 0) for turn in (0, 1))
        seconds, pictures = [0.0, 0.0], [b"", b""]
        for side in (0, 1) if index % 2 else (1, 0):
            _job(before, side, options.url)
            started = time.perf_counter()
            made = _job({**timed, "seed": index}, side, options.url)
            seconds[side] = time.perf_counter() - started
            pictures[side] = made.pixels[0].tobytes()
        if pictures[0] != pictures[1]:
            raise RuntimeError("the two sides gave different pictures; their times cannot be compared")
        pairs.append((seconds[0], seconds[1]))
    return pairs[options.warm_up :]


def _numbered(payload: dict[str, Any], number: int) -> dict[str, Any]:
    """The same job of another prompt with as many tokens."""
    return {**payload, "prompt": f"{payload['prompt']}, {number:03d}"}


def _job(payload: dict[str, Any], by_hand: int, url: str) -> Answer:
    if not by_hand:
        return job(payload, STICKY, url)
    return job({**payload, "negative_prompt": f"{payload['prompt']}, {TERMS}"}, url=url)


def _row(name: str, pairs: list[tuple[float, float]], calls: tuple[str, str]) -> str:
    ticked, typed = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = bootstrap([on / off for on, off in pairs], np.median)
    cells = (f"{ticked:.2f}", f"{typed:.2f}", f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}", *calls)
    return f"| {name} | {' | '.join(cells)} |"


def _can_count(url: str) -> bool:
    return any(script["name"] == "count calls" for script in call("/sdapi/v1/script-info", url=url))


def _counted(payload: dict[str, Any], url: str) -> tuple[str, str]:
    counting = {**payload, "alwayson_scripts": {"Count calls": {"args": [True]}}}
    return _calls(_job(counting, 0, url)), _calls(_job(counting, 1, url))


def _calls(made: Answer) -> str:
    return made.infotexts[0].rsplit("UNet calls: ", 1)[1].split(",")[0]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refused, OSError) as error:
        sys.exit(f"overhead: {error}")
