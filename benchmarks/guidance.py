"""What CFG with perturbed-attention guidance costs on A1111, here and by sd-webui-incantations, in one run.

    python -m benchmarks.guidance http://127.0.0.1:7860 --pairs 20 --steps 20

Both extensions are installed and each has its turn; whole jobs over the API, PAG at the same scale on every step. The
pictures differ by what docs/GUIDANCE.md says of incantations. UNet calls and rows are counted where the host has
tests/live/nested_job linked into its extensions (tests/live/test_nested.py says how).
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from benchmarks.paired_jobs import Make, counted, row, timed
from tests.live.webui import Answer, Refused, call, job

SCALE = 3.0
THEIRS = [False, 11.0, 0, 150, False, 1.0, 0.8, 3.0, 0.0, 0, 150, 4, True, SCALE]
"""The arguments of incantations by position; the last two turn PAG on."""

CASES: dict[str, dict[str, Any]] = {"one picture": {}, "batch of 4": {"batch_size": 4}}


def main() -> int:
    options = _parser().parse_args()
    scripts = {script["name"] for script in call("/sdapi/v1/script-info", url=options.url)}
    if "incantations" not in scripts:
        sys.exit("guidance: install sd-webui-incantations beside this extension; the host lacks it")
    about = call("/sticky/v1/version", url=options.url)
    print(
        f"{about['host']} {about['host_version']}, {options.size}x{options.size}, {options.steps} steps, Euler, CFG 7"
    )
    print(f"{options.pairs} pairs after {options.warm_up} of warm-up, load {os.getloadavg()[0]:.1f} at the start\n")
    print("| CFG + PAG | here, s | incantations, s | ratio, median | its 95% interval | UNet calls, here | theirs |")
    print("|---|---|---|---|---|---|---|")
    for name, extra in CASES.items():
        payload = {
            "prompt": "a cat",
            "negative_prompt": "ugly",
            "seed": 7,
            "steps": options.steps,
            "width": options.size,
            "height": options.size,
            "cfg_scale": 7,
            "sampler_name": "Euler",
            "save_images": False,
            **extra,
        }
        make = _maker(options.url)
        calls = counted(make, payload, options.url)
        pairs = timed(make, payload, options.pairs, options.warm_up, new=True, alike=False)
        print(row(name, pairs, calls), flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="a running A1111 with this extension and incantations, started with --api")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=3, help="pairs that are not counted")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=128)
    return parser


def _maker(url: str) -> Make:
    def make(payload: dict[str, Any], theirs: int) -> Answer:
        if not theirs:
            return job(payload, {"pag": SCALE}, url)
        scripts = {**payload.get("alwayson_scripts", {}), "incantations": {"args": THEIRS}}
        return job({**payload, "alwayson_scripts": scripts}, url=url)

    return make


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refused, OSError) as error:
        sys.exit(f"guidance: {error}")
