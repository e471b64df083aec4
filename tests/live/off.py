"""Off is off, on hosts too large to run twice at once.

`python -m tests.live.matrix --off FILE [NAME …]` keeps what a host with the extension answered by hand;
`python -m tests.live.off FILE` asks a host that lacks the extension the same and compares.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from tests.live.cases import cases
from tests.live.webui import Answer, Refused, job


def kept(answer: Answer) -> dict[str, Any]:
    """The parts of an answer that must be byte-identical: pictures, infotexts, and the names in `info`."""
    pictures = [hashlib.sha256(raw.encode()).hexdigest() for raw in answer.raw]
    return {"pictures": pictures, "infotexts": answer.infotexts, "info": sorted(answer.info)}


def _asked(payload: dict[str, Any]) -> dict[str, Any]:
    try:
        return kept(job(payload))
    except Refused as error:
        return {"refused": error.body}


def main(file: str) -> int:
    recorded = json.loads(Path(file).read_text())
    different = 0
    for case in cases():
        if case.name not in recorded:
            continue
        wanted, said = recorded[case.name], "identical"
        if _asked(case.payload_by_hand()) != wanted:
            # Recorded was what followed the same job with the box ticked, and hosts remember: the Forge family's
            # inpainting goes on with the noise of the job before, A1111 tells an embedding's hash as it is encoded.
            _asked(case.payload())
            same = _asked(case.payload_by_hand()) == wanted
            said = "identical after the job that it followed there" if same else "DIFFERS"
            different += not same
        print(f"| {case.name} | {said} |", flush=True)
    print(f"{different} of {len(recorded)} differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
