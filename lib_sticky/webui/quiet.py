"""How the pages' own events are sent: at once, and without the host's bar over what they fill."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

QUIET: Mapping[str, Any] = MappingProxyType({"queue": False, "show_progress": "hidden"})
