"""What the box ticked costs against the same negative typed by hand, on a running WebUI.

    python -m benchmarks.overhead http://127.0.0.1:7860 --pairs 20 --steps 20

Whole jobs over the API, the two sides taking turns to go first, after a warm-up. UNet calls are counted where the host
has tests/live/nested_job linked into its extensions (tests/live/test_nested.py says how).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

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
    print("| case | ticked, s | by hand, s | ratio, median | 10th to 90th percentile | UNet calls, ticked | by hand |")
    print("|---|---|---|---|---|---|---|")
    for name, (prompt, extra) in CASES.items():
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
        by_hand = {**payload, "negative_prompt": f"{prompt}, {TERMS}"}
        calls = _counted(payload, by_hand, options.url) if counts else ("not counted", "not counted")
        print(_row(name, _timed(payload, by_hand, options), calls), flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="a running WebUI with the extension, started with --api")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3, help="pairs that are not counted")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=128)
    return parser


def _timed(payload: dict[str, Any], by_hand: dict[str, Any], options: argparse.Namespace) -> list[tuple[float, float]]:
    """Seconds of both sides, a tuple a pair. Both sides give the same pixels, or RuntimeError."""
    sides: list[Callable[[int], Answer]] = [
        lambda seed: job({**payload, "seed": seed}, STICKY, options.url),
        lambda seed: job({**by_hand, "seed": seed}, url=options.url),
    ]
    pairs: list[tuple[float, float]] = []
    for index in range(options.warm_up + options.pairs):
        seconds, pictures = [0.0, 0.0], [b"", b""]
        for side in (0, 1) if index % 2 else (1, 0):
            started = time.perf_counter()
            made = sides[side](index)
            seconds[side] = time.perf_counter() - started
            pictures[side] = made.pixels[0].tobytes()
        if pictures[0] != pictures[1]:
            raise RuntimeError("the two sides gave different pictures; their times cannot be compared")
        pairs.append((seconds[0], seconds[1]))
    return pairs[options.warm_up :]


def _row(name: str, pairs: list[tuple[float, float]], calls: tuple[str, str]) -> str:
    ticked, typed = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratios = sorted(on / off for on, off in pairs)
    low, *_, high = statistics.quantiles(ratios, n=10)
    cells = (f"{ticked:.2f}", f"{typed:.2f}", f"{statistics.median(ratios):.3f}", f"{low:.2f} to {high:.2f}", *calls)
    return f"| {name} | {' | '.join(cells)} |"


def _can_count(url: str) -> bool:
    return any(script["name"] == "count calls" for script in call("/sdapi/v1/script-info", url=url))


def _counted(payload: dict[str, Any], by_hand: dict[str, Any], url: str) -> tuple[str, str]:
    counting = {"alwayson_scripts": {"Count calls": {"args": [True]}}}
    return (
        _calls(job({**payload, **counting}, STICKY, url)),
        _calls(job({**by_hand, **counting}, url=url)),
    )


def _calls(made: Answer) -> str:
    return made.infotexts[0].rsplit("UNet calls: ", 1)[1].split(",")[0]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refused, OSError) as error:
        sys.exit(f"overhead: {error}")
