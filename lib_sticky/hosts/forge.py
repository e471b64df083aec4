"""Forge, and Forge Neo as far as reading its source can tell (docs/HOSTS.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lib_sticky.hosts.base import Facts
from lib_sticky.hosts.forge_family import ForgeFamily
from lib_sticky.hosts.forge_pass import Calc
from lib_sticky.hosts.forge_watch import ForgeWatch
from lib_sticky.hosts.watch import JobWatch, PassWatch


class Forge(ForgeFamily):
    """Drops the negative at CFG 1, has a CFG scale of its own for the hires pass, runs distilled models."""

    name = "Forge"

    def facts(self, cfg_scale: float, p: Any = None) -> Facts:
        from modules import sd_models

        distilled = bool(getattr(sd_models.model_data.sd_model, "use_distilled_cfg_scale", False))
        return replace(super().facts(cfg_scale, p), distilled=distilled)

    def cfg_scale(self, p: Any) -> float:
        return float(p.hr_cfg if getattr(p, "is_hr_pass", False) else p.cfg_scale)

    def watch(self, p: Any, watch: JobWatch) -> PassWatch:
        from backend.sampling.condition import compile_conditions

        return ForgeWatch(p, watch, compile_conditions, self.calc())

    def load(self) -> None:
        from modules import sd_models

        sd_models.forge_model_reload()

    def repeats_are_neutral(self) -> bool:
        """Only UNets read text through cross-attention alone; `is_sd2` is gone in Neo."""
        from modules import shared

        return any(getattr(shared.sd_model, flag, False) for flag in ("is_sd1", "is_sd2", "is_sdxl"))

    def count_tokens(self, text: str) -> int | None:
        from modules import sd_models

        counter = getattr(sd_models.model_data.sd_model, "get_prompt_lengths_on_ui", None)
        return None if counter is None else int(counter(text)[0])

    def calc(self) -> Calc:
        from backend.sampling.sampling_function import calc_cond_uncond_batch

        return calc_cond_uncond_batch
