"""Names of folders that a repeated comparison finds again."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from lib_sticky import __version__


def named(prompt: str, told: Any) -> str:
    """Some of the prompt's words and a digest of `told`, anything that JSON can hold, and of the version."""
    digest = hashlib.sha256(json.dumps([told, __version__], sort_keys=True).encode()).hexdigest()[:8]
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40].strip("-")
    return f"compare-{words or 'prompt'}-{digest}"
