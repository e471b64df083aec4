"""Extra-network tags: `<lora:name:1>`, `<lyco:…>`, `<hypernet:…>`."""

from __future__ import annotations

import re

_OPENING = re.compile(r"<\w+:")


def strip_extra_networks(text: str) -> str:
    """`text` without its extra-network tags; the host reads them from the positive only, in a negative they are text.

    A tag is what A1111 takes for one (modules/extra_networks.py): `<`, a word, `:`, some characters, the next `>`.
    Linear in the length of `text`, also when tags are never closed.
    """
    kept: list[str] = []
    position = 0
    for opening in _OPENING.finditer(text):
        if opening.start() < position:
            continue
        closing = text.find(">", opening.end() + 1)
        if closing < 0:
            break
        if text[opening.end()] == ">":
            continue
        kept.append(text[position : opening.start()])
        position = closing + 1
    kept.append(text[position:])
    return "".join(kept)
