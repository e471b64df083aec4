"""Off is off, on hosts too large to run twice at once.

`python -m tests.live.off record FILE` keeps what a host answers with the extension installed and off;
`python -m tests.live.off compare FILE` compares it with a host that lacks the extension.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from tests.live.cases import cases
from tests.live.webui import Refused, job


def answers(payload: dict[str, Any]) -> dict[str, Any]:
    """The parts of an answer that must be byte-identical: pictures, infotexts, and the names in `info`."""
    try:
        found = job(payload)
    except Refused as error:
        return {"refused": error.body}
    pictures = [hashlib.sha256(raw.encode()).hexdigest() for raw in found.raw]
    return {"pictures": pictures, "infotexts": found.infotexts, "info": sorted(found.info)}


def main(action: str, file: str) -> int:
    path = Path(file)
    if action == "record":
        path.write_text(json.dumps({case.name: answers(case.payload()) for case in cases()}))
        return 0
    recorded = json.loads(path.read_text())
    different = 0
    for case in cases():
        found = answers(case.payload())
        same = found == recorded[case.name]
        repeats = same or found == answers(case.payload())
        different += repeats and not same
        print(
            f"| {case.name} | {'identical' if same else 'DIFFERS' if repeats else 'the host does not repeat itself'} |",
            flush=True,
        )
    print(f"{different} of {len(recorded)} differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
