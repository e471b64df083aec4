"""Run the matrix against STICKY_LIVE_URL and print it as a table: `python -m tests.live.matrix`."""

from __future__ import annotations

import sys
import time

import numpy as np

from tests.live.cases import Case, cases
from tests.live.webui import URL, Refused, call, job


def verdict(case: Case) -> str:
    """ "identical", or how the pictures differ; names a case that could not tell."""
    ticked = job(case.payload(), case.sticky)
    by_hand = job(case.payload_by_hand())
    if [a.tobytes() for a in ticked.pixels] != [b.tobytes() for b in by_hand.pixels]:
        worst = max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(ticked.pixels, by_hand.pixels, strict=True))
        return f"DIFFERS by up to {worst}/255"
    if case.payload()["negative_prompt"] != case.by_hand:
        plain = job(case.payload())
        if [a.tobytes() for a in plain.pixels] == [b.tobytes() for b in by_hand.pixels]:
            return "CANNOT TELL: the negative changes nothing"
    return "identical"


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
    about = answering()
    print(f"{about['host']} {about['host_version']}, extension {about['version']}, {URL}")
    bad = 0
    for case in cases():
        started = time.monotonic()
        try:
            said = verdict(case)
        except Refused as error:
            said = f"HOST ANSWERED {error}"
        bad += said != "identical"
        print(f"| {case.name} | {said} | {time.monotonic() - started:.1f} s |", flush=True)
    print(f"{bad} of {len(cases())} not identical")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
