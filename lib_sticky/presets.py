"""Named configs: the built-in ones, and the user's own in one JSON file that is replaced whole."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lib_sticky.config import Config, ConfigError, changed, parse

_NULL_GAP: Mapping[str, Any] = {"untitled": True, "untitled_cfg": 3.0, "null": "zeros"}
_SEG: Mapping[str, Any] = {"untitled": True, "untitled_cfg": 3.0, "seg": "in the negative"}
_FREEU: Mapping[str, Any] = {"freeu": "version 2", "freeu_b1": 1.1, "freeu_b2": 1.2, "freeu_s1": 0.6, "freeu_s2": 0.4}
UNTITLED: Mapping[str, Config] = {
    # The control: what a preset adds to the model can only be told from what the model draws without it.
    "U0": Config(untitled=True, untitled_cfg=1.0),
    "U1": Config(**_NULL_GAP),
    "U2": Config(**_NULL_GAP, pag=1.0),
    "U3": Config(**_SEG),
    "U4": Config(**_SEG, pag=1.0),
    "U5": Config(untitled=True, sag=0.5, sag_sigma=2.0),
    # As they ran: dynamic thresholding never acted beside PAG, and CFG 1 of A1111's DDIM CFG++ is lambda 0.08.
    "article v1.5": Config(**_NULL_GAP, **_FREEU, pag=1.0),
    "article v2.0": Config(untitled=True, null="zeros", cfgpp=0.08, seg="in the negative", pag=1.0),
}
"""No guidance at all, CFG between the encoded empty text and zeros, PAG, SEG, SAG, and two articles' ways."""

BUILT_IN: Mapping[str, Config] = {
    "Sticky": Config(enabled=True),
    "Sticky, own chunk": Config(enabled=True, placement="own chunk"),
    "Sticky, late terms": Config(enabled=True, start=0.12),
    **{f"Untitled {name}": config for name, config in UNTITLED.items()},
}


class Presets:
    """The user's presets in `path`; a missing file means none. Built-in names cannot be overwritten or deleted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> dict[str, Config]:
        """Built-in presets, then the user's, by name.

        Raises ConfigError that names the file and the preset when the file was edited into something unusable.
        """
        return {**BUILT_IN, **self._own()}

    def save(self, name: str, config: Config) -> None:
        """Store `config` under `name` (1 to 80 printable characters)."""
        _check_name(name)
        self._write({**self._own(), name: config})

    def delete(self, name: str) -> None:
        """Remove the user's preset `name`; ConfigError when there is none of that name."""
        own = self._own()
        if name not in own:
            raise ConfigError("preset", f"there is no preset of your own named {name!r}")
        self._write({key: value for key, value in own.items() if key != name})

    def _own(self) -> dict[str, Config]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        try:
            stored: Any = json.loads(text)
            found = {name: parse(fields) for name, fields in cast("dict[str, Any]", stored).items()}
        except (ValueError, AttributeError) as error:
            raise ConfigError("presets", f"{self.path} cannot be used ({error}); mend or move the file") from error
        return found

    def _write(self, own: Mapping[str, Config]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({name: changed(config) for name, config in own.items()}, indent=2, ensure_ascii=False)
        handle, partial = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise


def _check_name(name: str) -> None:
    if name in BUILT_IN:
        raise ConfigError("preset", f"{name!r} is built in; choose another name")
    if not name.strip() or len(name) > 80 or not name.isprintable():
        raise ConfigError("preset", "a preset's name is 1 to 80 printable characters")
