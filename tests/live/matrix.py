"""Run the matrix, or the cases named, against STICKY_LIVE_URL and print it.

`python -m tests.live.matrix [--off FILE] [NAME …]`; FILE keeps the answers by hand for tests/live/off.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.live.cases import Case, cases
from tests.live.off import kept
from tests.live.webui import URL, Answer, Refused, call, job


def verdict(case: Case, *, tells: bool = True, off: dict[str, Any] | None = None) -> str:
    """Whether the pictures are identical; with `tells`, a third job shows that they could have differed.

    `off` gathers what the job by hand answered.

    The Forge family draws inpainting noise, and A1111's encoder its samples, from a global generator whose state is
    what the job before left. So where pictures differ, both jobs run again, each after a job like itself.
    """
    ticked, by_hand = job(case.payload(), case.sticky), job(case.payload_by_hand())
    if off is not None:
        off[case.name] = kept(by_hand)
    if apart(ticked, by_hand):
        again = apart(job(case.payload_by_hand()), job(case.payload(), case.sticky))
        return f"DIFFERS by {again}" if again else "identical once each job follows one like itself"
    if tells and case.payload()["negative_prompt"] != case.by_hand and not apart(job(case.payload()), by_hand):
        return "CANNOT TELL: the negative changes nothing"
    return "identical"


def apart(one: Answer, other: Answer) -> int:
    """The largest difference of any channel of any pixel, 0 to 255."""
    pairs = zip(one.pixels, other.pixels, strict=True)
    return max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs)


def answering(seconds: float = 60) -> dict[str, str]:
    """The host's answer to the version route; hosts answer their own API before extensions have mounted theirs."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            return call("/sticky/v1/version")
        except Refused:
            if time.monotonic() > give_up:
                raise
            time.sleep(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--off", type=Path, help="file for the answers by hand")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names, off = options.names, {}
    about = answering()
    print(f"{about['host']} {about['host_version']}, extension {about['version']}, {URL}")
    bad = 0
    chosen = [case for case in cases() if not names or case.name in names]
    for case in chosen:
        # On a slow host one case that is shown to tell must do; the test suite asks it of every case.
        started = time.monotonic()
        try:
            said = verdict(case, tells=case.name == "plain", off=off)
        except Refused as error:
            said = f"HOST ANSWERED {error}"
        bad += not said.startswith("identical")
        print(f"| {case.name} | {said} | {time.monotonic() - started:.1f} s |", flush=True)
        if options.off:
            options.off.write_text(json.dumps(off))
    print(f"{bad} of {len(chosen)} not identical")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
