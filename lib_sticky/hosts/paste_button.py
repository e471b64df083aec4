"""Sends infotexts to the WebUI's own txt2img tab, the way its PNG Info tab does."""

from __future__ import annotations

from typing import Any


class WebUISender:
    """A1111 and every WebUI that grew from it."""

    place = "txt2img"
    hires = True

    def bind(self, button: Any, text: Any) -> None:
        """The host connects what is registered once all tabs are built (modules/ui.py, `create_ui`)."""
        from modules import infotext_utils

        binding = infotext_utils.ParamBinding(paste_button=button, tabname=self.place, source_text_component=text)
        infotext_utils.register_paste_params_button(binding)
