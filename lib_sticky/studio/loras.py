"""Where the studio looks for LoRAs: a path, or a name in models/loras."""

from __future__ import annotations

from pathlib import Path

from lib_sticky.hosts.neglora import in_folder
from lib_sticky.studio.models import MODELS

LORAS = MODELS / "loras"


def find_lora(name: str) -> Path | None:
    """The file that a user names."""
    path = Path(name).expanduser()
    return path if path.is_file() else in_folder(LORAS, name)
