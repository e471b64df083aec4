"""What A1111 and every WebUI that grew from it have in common."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from lib_sticky.guidance.conditioning import stack, token_counts
from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.base import Facts, Guiding, Texts
from lib_sticky.hosts.watch import JobWatch, PassWatch


class WebUI:
    """The parts of the `Host` protocol that need no more than A1111's own processing and prompt parser."""

    name = "WebUI"

    def version(self) -> str:
        from modules import launch_utils

        return str(launch_utils.git_tag())

    def texts(self, p: Any) -> Texts:
        hires = bool(getattr(p, "is_hr_pass", False))
        positive, negative = (p.hr_prompts, p.hr_negative_prompts) if hires else (p.prompts, p.negative_prompts)
        return Texts(tuple(positive), tuple(negative), hires)

    def encode(self, p: Any, texts: Sequence[str], cache: list[Any], *, negative: bool = True) -> Any:
        from modules import prompt_parser

        return self._encode(p, prompt_parser.get_learned_conditioning, texts, cache, negative=negative)

    def encode_prompts(self, p: Any, prompts: Sequence[str], cache: list[Any]) -> Any:
        from modules import prompt_parser

        return self._encode(p, prompt_parser.get_multicond_learned_conditioning, prompts, cache, negative=False)

    def prompts_at_step(self, prompts: Any, step: int) -> Any:
        from modules import prompt_parser

        return prompt_parser.reconstruct_multicond_batch(prompts, step)[1]

    @staticmethod
    def _encode(p: Any, function: Any, texts: Sequence[str], cache: list[Any], *, negative: bool) -> Any:
        """Goes through `get_conds_with_caching`, whose key holds the checkpoint, sizes, clip skip and LoRAs."""
        from modules import prompt_parser

        hires = bool(getattr(p, "is_hr_pass", False))
        width, height = (p.hr_upscale_to_x, p.hr_upscale_to_y) if hires else (p.width, p.height)
        about = {"width": width, "height": height, "is_negative_prompt": negative}
        if "distilled_cfg_scale" in inspect.signature(prompt_parser.SdConditioning.__init__).parameters:
            about["distilled_cfg_scale"] = p.hr_distilled_cfg if hires else p.distilled_cfg_scale
        conditioning = prompt_parser.SdConditioning(list(texts), **about)
        return p.get_conds_with_caching(
            function,
            conditioning,
            p.firstpass_steps,
            [cache],
            p.hr_extra_network_data if hires else p.extra_network_data,
            _hires_steps(p) if hires else None,
        )

    def at_step(self, schedules: Any, step: int, like: Any) -> Any:
        """Texts repeat where `like` has more rows than there are: Neo's video models have one text for all frames.

        Raises ValueError where token counts differ and repeating tokens would change the picture.
        """
        from modules import prompt_parser

        rows = like.shape[0]
        wanted = [schedules[i % len(schedules)] for i in range(rows)]
        singles = [prompt_parser.reconstruct_cond_batch([schedule], step) for schedule in wanted]
        if len(set(token_counts(singles))) > 1 and not self.repeats_are_neutral():
            raise ValueError("the negatives of this batch differ in length; with this model use batch size 1")
        stacked = stack([_image(single) for single in singles])
        return prompt_parser.DictWithShape(stacked) if isinstance(like, Mapping) else stacked

    def guide(self, p: Any, selection: Selection, scale: float | None, *, untitled: bool) -> Guiding:
        raise NotImplementedError

    def watch(self, p: Any, watch: JobWatch) -> PassWatch:
        raise NotImplementedError

    def decoded(self, latent: Any) -> Image.Image:
        from modules import devices, sd_samplers_common

        sample = torch.as_tensor(latent, device=devices.device, dtype=torch.float32)[None]
        picture = sd_samplers_common.samples_to_images_tensor(sample, approximation=0)[0].float()
        values = ((picture + 1) / 2).clamp(0, 1).movedim(0, 2).cpu().numpy()
        return Image.fromarray((values * 255).astype("uint8"))

    def load(self) -> None:
        from modules import shared

        _ = shared.sd_model  # Loads on being asked for.

    def repeats_are_neutral(self) -> bool:
        """Whether the loaded model reads its text through cross-attention only."""
        return True

    def cfg_scale(self, p: Any) -> float:
        return float(p.cfg_scale)

    def facts(self, cfg_scale: float, p: Any = None) -> Facts:
        return Facts(cfg_scale=cfg_scale, distilled=False, skips=_skips(p))

    def count_tokens(self, text: str) -> int | None:
        raise NotImplementedError

    def data_path(self) -> Path:
        from modules import paths_internal

        return Path(paths_internal.data_path)


def _hires_steps(p: Any) -> int:
    """Model calls that the host expects in the hires pass (`calculate_hr_conds`)."""
    from modules import sd_samplers

    sampler = sd_samplers.find_sampler_config(p.hr_sampler_name or p.sampler_name)
    steps = p.hr_second_pass_steps or p.steps
    return sampler.total_steps(steps) if sampler else steps


def _image(batch_of_one: Any) -> Any:
    if isinstance(batch_of_one, Mapping):
        return {key: value[0] for key, value in batch_of_one.items()}
    return batch_of_one[0]


def _skips(p: Any) -> tuple[str, ...]:
    """Host settings that leave the negative out of some steps (`CFGDenoiser.forward`)."""
    from modules import shared

    found: list[str] = []
    ngms = getattr(p, "s_min_uncond", None) or 0
    if ngms > 0:
        found.append(f"Negative Guidance minimum sigma is {ngms}: the negative is skipped at low noise")
    early = getattr(shared.opts, "skip_early_cond", 0) or 0
    if early > 0:
        found.append(f"Ignore negative prompt during early sampling is {early}: the negative is skipped until then")
    return tuple(found)
