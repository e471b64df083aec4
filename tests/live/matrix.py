"""Run the matrix, or the cases named, against STICKY_LIVE_URL and print it: `python -m tests.live.matrix [NAME …]`."""

from __future__ import annotations

import sys
import time

import numpy as np

from tests.live.cases import Case, cases
from tests.live.webui import URL, Answer, Refused, call, job


def verdict(case: Case, *, tells: bool = True) -> str:
    """Whether the pictures are identical; with `tells`, a third job shows that they could have differed.

    The Forge family draws inpainting noise, and A1111's encoder its samples, from a global generator whose state is
    what the job before left. So where pictures differ, both jobs run again, each after a job like itself.
    """
    ticked, by_hand = job(case.payload(), case.sticky), job(case.payload_by_hand())
    worst = apart(ticked, by_hand)
    if worst:
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


def main(names: list[str]) -> int:
    about = answering()
    print(f"{about['host']} {about['host_version']}, extension {about['version']}, {URL}")
    bad = 0
    chosen = [case for case in cases() if not names or case.name in names]
    for case in chosen:
        # On a slow host one case that is shown to tell must do; the test suite asks it of every case.
        started = time.monotonic()
        try:
            said = verdict(case, tells=case.name == "plain")
        except Refused as error:
            said = f"HOST ANSWERED {error}"
        bad += not said.startswith("identical")
        print(f"| {case.name} | {said} | {time.monotonic() - started:.1f} s |", flush=True)
    print(f"{bad} of {len(chosen)} not identical")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
