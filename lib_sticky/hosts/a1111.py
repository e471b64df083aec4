"""AUTOMATIC1111 WebUI, v1.10."""

from __future__ import annotations

from lib_sticky.hosts.webui import WebUI


class A1111(WebUI):
    """Runs the unconditional rows also at CFG 1, and always with the pass's own CFG scale."""

    name = "AUTOMATIC1111"

    def count_tokens(self, text: str) -> int | None:
        from modules import sd_hijack, sd_models

        if sd_models.model_data.sd_model is None:
            return None
        count, _ = sd_hijack.model_hijack.get_prompt_lengths(text)
        return int(count)
