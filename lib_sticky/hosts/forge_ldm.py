"""reForge and Forge Classic: Forge's hooks over `ldm_patched`, A1111's text encoders."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lib_sticky.hosts.base import Facts
from lib_sticky.hosts.forge_family import ForgeFamily
from lib_sticky.hosts.forge_pass import Calc
from lib_sticky.hosts.forge_watch import ForgeWatch
from lib_sticky.hosts.watch import JobWatch, PassWatch


class ForgeLdm(ForgeFamily):
    """Keep a CFG scale of 1 from running the negative; reForge has its own CFG scale for the hires pass."""

    name = "reForge / Forge Classic"

    def facts(self, cfg_scale: float, p: Any = None) -> Facts:
        from modules import shared

        facts = super().facts(cfg_scale, p)
        if not getattr(shared.opts, "dynamic_clip_skip_enabled", False):
            return facts
        told = "Dynamic clip skip is on: the tracked negative is encoded at the plain clip skip"
        return replace(facts, skips=(*facts.skips, told))

    def cfg_scale(self, p: Any) -> float:
        hires_scale = getattr(p, "hr_cfg", 0) if getattr(p, "is_hr_pass", False) else 0
        return float(hires_scale or p.cfg_scale)

    def watch(self, p: Any, watch: JobWatch) -> PassWatch:
        from modules_forge.forge_sampler import cond_from_a1111_to_patched_ldm

        return ForgeWatch(p, watch, cond_from_a1111_to_patched_ldm, self.calc())

    def count_tokens(self, text: str) -> int | None:
        from modules import sd_hijack, sd_models

        encoder = getattr(sd_models.model_data.sd_model, "cond_stage_model", None)
        return None if encoder is None else int(sd_hijack.model_hijack.get_prompt_lengths(text, encoder)[0])

    def calc(self) -> Calc:
        from ldm_patched.modules.samplers import calc_cond_uncond_batch

        return calc_cond_uncond_batch
