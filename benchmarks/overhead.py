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
import sys
from typing import Any

from benchmarks.paired_jobs import Make, arguments, counted, payload_of, print_heading, row, timed
from tests.live.webui import Answer, Refused, job

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
    make = _maker(options.url)
    print_heading(options, "Euler")
    print("| case | ticked, s | by hand, s | ratio, median | its 95% interval | UNet calls, ticked | by hand |")
    print("|---|---|---|---|---|---|---|")
    for name, (prompt, extra) in CASES.items():
        if options.cases and name not in options.cases:
            continue
        payload = payload_of(options, prompt, 9, extra)
        calls = counted(make, payload, options.url)
        for new in (True, False):
            pairs = timed(make, payload, options.pairs, options.warm_up, new=new, alike=True)
            print(row(f"{name}, {'new' if new else 'same'} prompt", pairs, calls), flush=True)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = arguments(__doc__, "a running WebUI with the extension, started with --api")
    parser.add_argument("--cases", nargs="+", choices=CASES, help="all, when left out")
    return parser


def _maker(url: str) -> Make:
    def make(payload: dict[str, Any], by_hand: int) -> Answer:
        if not by_hand:
            return job(payload, STICKY, url)
        return job({**payload, "negative_prompt": f"{payload['prompt']}, {TERMS}"}, url=url)

    return make


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refused, OSError) as error:
        sys.exit(f"overhead: {error}")
