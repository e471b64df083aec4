"""AUTOMATIC1111 WebUI, v1.10."""

from __future__ import annotations

from typing import Any

from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.a1111_pass import A1111Pass
from lib_sticky.hosts.a1111_watch import A1111Watch
from lib_sticky.hosts.base import Guiding
from lib_sticky.hosts.watch import JobWatch, PassWatch
from lib_sticky.hosts.webui import WebUI


class A1111(WebUI):
    """Runs the unconditional rows also at CFG 1, and always with the pass's own CFG scale."""

    name = "AUTOMATIC1111"

    def guide(self, p: Any, selection: Selection, scale: float | None, *, untitled: bool) -> Guiding:
        return A1111Pass(p, selection, scale, untitled=untitled)

    def watch(self, p: Any, watch: JobWatch) -> PassWatch:
        return A1111Watch(p, watch)

    def count_tokens(self, text: str) -> int | None:
        from modules import sd_hijack, sd_models

        if sd_models.model_data.sd_model is None:
            return None
        count, _ = sd_hijack.model_hijack.get_prompt_lengths(text)
        return int(count)
