"""As much of a WebUI as the adapters touch, with the hosts' shapes, no weights and exact numbers."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

CHUNK = 77
TWO_CALLS_A_STEP = SimpleNamespace(total_steps=lambda steps: 2 * steps)


class DictWithShape(dict):
    """As in the hosts' prompt_parser."""

    def __init__(self, x: dict[str, Tensor], _shape: Any = None) -> None:
        super().__init__(x)

    @property
    def shape(self) -> torch.Size:
        return self["crossattn"].shape


class SdConditioning(list):
    def __init__(self, prompts: list[str], is_negative_prompt: bool = False, width: int = 0, height: int = 0) -> None:
        super().__init__(prompts)
        self.about = (is_negative_prompt, width, height)


class SdConditioningWithGuidance(SdConditioning):
    """Forge's and Neo's."""

    def __init__(self, prompts: list[str], distilled_cfg_scale: float | None = None, **about: Any) -> None:
        super().__init__(prompts, **about)
        self.distilled_cfg_scale = distilled_cfg_scale


def tensor_cond(text: str) -> Tensor:
    """[77 k, 4], k chunks of 75 words; its numbers name the text."""
    chunks = max(1, -(-len(text.split()) // 75))
    return torch.full((CHUNK * chunks, 4), float(sum(text.encode())))


def dict_cond(text: str) -> dict[str, Tensor]:
    """SDXL's two parts, and an entry that only Neo knows."""
    cross = tensor_cond(text)
    return {"crossattn": cross, "vector": cross[0, :3].clone(), "guidance": torch.tensor(3.5)}


def anima_cond(text: str) -> Tensor:
    """Neo's Anima: one more axis in front, [1, L, 4]."""
    return tensor_cond(text)[None]


def reconstruct_cond_batch(schedules: list[list[SimpleNamespace]], step: int) -> Any:
    chosen = [next((e for e in schedule if step <= e.end_at_step), schedule[0]).cond for schedule in schedules]
    if isinstance(chosen[0], dict):
        return DictWithShape({key: torch.stack([cond[key] for cond in chosen]) for key in chosen[0]})
    return torch.stack(chosen)


@dataclass
class Processing:
    """A host's `p` in the middle of a job."""

    prompts: list[str]
    negative_prompts: list[str]
    host: FakeWebUI
    cfg_scale: float = 20.0
    hr_cfg: float = 20.0
    width: int = 512
    height: int = 512
    steps: int = 20
    firstpass_steps: int = 20
    is_hr_pass: bool = False
    hr_prompts: list[str] | None = None
    hr_negative_prompts: list[str] | None = None
    hr_upscale_to_x: int = 1024
    hr_upscale_to_y: int = 1024
    hr_second_pass_steps: int = 0
    hr_sampler_name: str | None = None
    sampler_name: str = "Euler"
    distilled_cfg_scale: float = 3.5
    hr_distilled_cfg: float = 4.5
    s_min_uncond: float = 0.0
    extra_network_data: Any = None
    hr_extra_network_data: Any = None
    checkpoint: str = "a"
    extra_generation_params: dict[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)

    def comment(self, text: str) -> None:
        self.comments.append(text)

    def init(self) -> None:
        """Where the host begins to work on the job."""

    def get_conds_with_caching(
        self, function: Any, texts: Any, steps: int, caches: Any, extra: Any, hires: Any = None
    ) -> Any:
        key = (list(texts), getattr(texts, "about", None), steps, hires, self.checkpoint, extra)
        if caches[0][0] != key:
            caches[0][:] = [key, function(self.host, texts, steps, hires)]
        return caches[0][1]


@dataclass
class FakeWebUI:
    """Installs fake `modules.*`; counts what it is asked to encode."""

    encode: Callable[[str], Any] = tensor_cond
    conditioning: type = SdConditioning
    model: Any = field(default_factory=lambda: SimpleNamespace(is_sd1=True))
    opts: dict[str, Any] = field(default_factory=dict)
    encoded: list[tuple[str, ...]] = field(default_factory=list)

    def get_learned_conditioning(self, _model: Any, texts: list[str], steps: int, _hires: int | None) -> Any:
        self.encoded.append(tuple(texts))
        return [[SimpleNamespace(end_at_step=steps, cond=self.encode(text))] for text in texts]

    @contextmanager
    def running(self) -> Iterator[None]:
        parts = {
            "prompt_parser": SimpleNamespace(
                SdConditioning=self.conditioning, DictWithShape=DictWithShape,
                get_learned_conditioning=self.get_learned_conditioning, reconstruct_cond_batch=reconstruct_cond_batch,
            ),
            "shared": SimpleNamespace(sd_model=self.model, opts=SimpleNamespace(**self.opts)),
            "sd_models": SimpleNamespace(model_data=SimpleNamespace(sd_model=self.model)),
            "sd_samplers": SimpleNamespace(find_sampler_config=lambda _name: TWO_CALLS_A_STEP),
        }  # fmt: skip
        package = types.ModuleType("modules")
        before = {name: sys.modules.get(name) for name in ("modules", *(f"modules.{part}" for part in parts))}
        sys.modules["modules"] = package
        for name, part in parts.items():
            setattr(package, name, part)
            sys.modules[f"modules.{name}"] = part  # type: ignore[assignment]
        try:
            yield
        finally:
            for name, module in before.items():
                sys.modules.pop(name, None)
                if module is not None:
                    sys.modules[name] = module

    def processing(self, prompts: list[str], negatives: list[str], **about: Any) -> Processing:
        return Processing(prompts, negatives, self, **about)


def denoiser_params(p: Any, uncond: Any, step: int = 0) -> SimpleNamespace:
    """What the CFG denoiser callback is given."""
    return SimpleNamespace(denoiser=SimpleNamespace(p=p, step=step), text_uncond=uncond, text_cond=uncond)
