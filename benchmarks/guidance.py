"""What CFG with perturbed-attention guidance costs on A1111, here and by sd-webui-incantations, in one run.

    python -m benchmarks.guidance http://127.0.0.1:7860 --pairs 20 --steps 20

Both extensions are installed and each has its turn; whole jobs over the API, PAG at the same scale on every step. The
pictures differ by what docs/GUIDANCE.md says of incantations. UNet calls and rows are counted where the host has
tests/live/nested_job linked into its extensions (tests/live/test_nested.py says how).
"""

from __future__ import annotations

import os
import sys
from typing import Any

from benchmarks.paired_jobs import Make, arguments, counted, payload_of, print_heading, row, timed
from tests.live.webui import Answer, Refused, call, job

SCALE = 3.0
THEIRS = [False, 11.0, 0, 150, False, 1.0, 0.8, 3.0, 0.0, 0, 150, 4, True, SCALE]
"""The arguments of incantations by position; the last two turn PAG on."""

CASES: dict[str, dict[str, Any]] = {"one picture": {}, "batch of 4": {"batch_size": 4}}


def main() -> int:
    options = arguments(
        __doc__, "a running A1111 with this extension and incantations, started with --api"
    ).parse_args()
    scripts = {script["name"] for script in call("/sdapi/v1/script-info", url=options.url)}
    if "incantations" not in scripts:
        sys.exit("guidance: install sd-webui-incantations beside this extension; the host lacks it")
    print_heading(options, "Euler, CFG 7")
    print("| CFG + PAG | here, s | incantations, s | ratio, median | its 95% interval | UNet calls, here | theirs |")
    print("|---|---|---|---|---|---|---|")
    for name, extra in CASES.items():
        payload = payload_of(options, "a cat", 7, {"negative_prompt": "ugly", **extra})
        make = _maker(options.url)
        calls = counted(make, payload, options.url)
        pairs = timed(make, payload, options.pairs, options.warm_up, new=True, alike=False)
        print(row(name, pairs, calls), flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    return 0


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
