"""What Forge, reForge and Forge Classic share: guidance through a conditioning modifier of their UNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lib_sticky.guidance.combine import Record
from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.base import Guiding
from lib_sticky.hosts.forge_pass import Calc, ForgePass
from lib_sticky.hosts.webui import WebUI


@dataclass
class Unguided:
    """A pass on a host that has no way in for guidance: conditionings are put in place, techniques do not act."""

    refused: tuple[str, ...]
    records: list[Record] = field(default_factory=list[Record])
    owner: str = ""
    sides_differ: bool = False

    def before(self, params: Any, empty: Callable[[], Any]) -> None:
        """Leave the call as it is."""


class ForgeFamily(WebUI):
    """Every host that keeps its models as `forge_objects`."""

    def guide(self, p: Any, selection: Selection, scale: float | None, *, untitled: bool) -> Guiding:
        if hasattr(p.sd_model.forge_objects.unet, "add_conditioning_modifier"):
            return ForgePass(p, selection, scale, untitled=untitled, asked=self.cfg_scale(p), calc=self.calc())
        if selection == Selection() and scale is None:
            return Unguided(())
        return Unguided((f"guidance techniques and a CFG scale of Untitled's own do not act on this {self.name}",))

    def calc(self) -> Calc:
        """The host's function for model calls."""
        raise NotImplementedError
