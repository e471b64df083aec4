"""What is asked of an untitled run: presets, seeds and settings, checked field by field."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lib_sticky.api.answers import known_fields
from lib_sticky.config import Config, ConfigError
from lib_sticky.guidance_fields import NULL_ENCODED, NULL_SAME, NULL_ZEROS
from lib_sticky.hosts.painter import Painter, Settings
from lib_sticky.option import Option, option, shown
from lib_sticky.presets import UNTITLED

AS_PRESET = "as the preset says"
MOST = 4096
"""Pictures that one run may make."""


@dataclass(frozen=True)
class Order(Settings):
    """One run: every preset on the same seeds. ConfigError names a field that cannot be used."""

    presets: tuple[str, ...] = ("U3",)
    seeds: int = option(16, label="Seeds", help="Pictures of each preset.", minimum=1, maximum=1024, step=1)
    seed: int = option(1, label="First seed", help="The others follow it.", minimum=0, maximum=2**32 - 1025, step=1)
    batch: int = option(1, label="Batch size", help="Pictures made at once.", minimum=1, maximum=16, step=1)
    null: str = option(
        AS_PRESET,
        label="Empty negative",
        help="What CFG moves away from: zeros, the encoded empty text, or the positive itself.",
        choices=(AS_PRESET, NULL_ZEROS, NULL_ENCODED, NULL_SAME),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.presets:
            raise ConfigError("presets", f"choose at least one of {', '.join(UNTITLED)}")
        for name in self.presets:
            if name not in UNTITLED:
                raise ConfigError("presets", f"there is no preset {shown(name)}; known are {', '.join(UNTITLED)}")
        if len(set(self.presets)) < len(self.presets):
            raise ConfigError("presets", "a preset is named twice")
        if self.total > MOST:
            raise ConfigError("seeds", f"{self.total} pictures are too many for one run; {MOST} is the most")

    @property
    def total(self) -> int:
        """Pictures of all presets."""
        return len(self.presets) * self.seeds

    def config(self, preset: str) -> Config:
        """The fields of one preset, with the empty negative that was chosen."""
        found = UNTITLED[preset]
        return found if self.null == AS_PRESET else replace(found, null=self.null)


OPTIONS: Mapping[str, Option] = {
    field.name: field.metadata["option"] for field in dataclasses.fields(Order) if "option" in field.metadata
}
DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in dataclasses.fields(Order)}


def read_order(body: Any, painter: Painter) -> Order:
    """Check a request's JSON; ConfigError names the bad field, and for an unknown one the nearest that exists."""
    body = known_fields(body, DEFAULTS, "an untitled run")
    presets = body.get("presets", list(DEFAULTS["presets"]))
    if not isinstance(presets, list) or not all(isinstance(name, str) for name in presets):
        raise ConfigError("presets", f"{shown(presets)} is not a list of names")
    order = Order(**{**body, "presets": tuple(presets)})
    known = painter.samplers()
    if order.sampler not in known:
        raise ConfigError("sampler", f"{shown(order.sampler)} is not one of: {', '.join(known)}")
    for name in order.presets:
        painter.check(order, order.config(name))
    return order
