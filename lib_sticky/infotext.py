"""One infotext key, `Sticky`, whose value is JSON: a schema number and the fields that differ from their defaults."""

from __future__ import annotations

import json
from typing import Any, cast

from lib_sticky.config import DEFAULTS, Config, ConfigError, changed, parse

KEY = "Sticky"
ERROR_KEY = "Sticky error"
ACTED_KEY = "Sticky acted"
FEELS_KEY = "Sticky feels like CFG"
REPORT_KEY = "Sticky report"
"""In the API's answer alone, beside the infotexts' keys: what acted, in full."""

SCHEMA = 1


def dump(config: Config) -> str | None:
    """The infotext value of `config`, or None when it asks for nothing, so that the key is absent then."""
    if not config.is_on:
        return None
    return json.dumps({"v": SCHEMA, **changed(config)}, ensure_ascii=True, separators=(",", ":"))


def load(text: str) -> Config:
    """The Config that an infotext value of this or an older schema describes.

    Fields that this version does not know are ignored, so that a picture made by a newer version still pastes.

    Raises ConfigError when the text is no such value.
    """
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(KEY, f"the pasted value is not JSON ({error})") from None
    if not isinstance(found, dict) or not isinstance(cast("dict[str, Any]", found).get("v"), int):
        raise ConfigError(KEY, 'the pasted value has no schema number "v"')
    named = cast("dict[str, Any]", found)
    return parse({name: value for name, value in named.items() if name in DEFAULTS})
