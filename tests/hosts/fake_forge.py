"""The sampling of the Forge family around a tiny UNet: what guidance hangs on, in the hosts' own order and shapes.

After backend/sampling/sampling_function.py and condition.py of Forge, ldm_patched/modules/samplers.py of reForge and
Forge Classic, and modules/sd_samplers_cfg_denoiser.py of each.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

CHANNELS, WORDS = 4, 6


class Attention(nn.Module):
    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        self.heads = 2
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context, channels, bias=False)
        self.to_v = nn.Linear(context, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels), nn.Dropout(0.0))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        context = x if context is None else context
        q, k, v = (
            values.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for values in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        weights = (3 * q @ k.mT).softmax(-1)
        return self.to_out((weights @ v).transpose(1, 2).flatten(-2))


class TransformerBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attn1 = Attention(channels, channels)
        self.attn2 = Attention(channels, WORDS)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        tokens = tokens + self.attn1(tokens)
        return tokens + self.attn2(tokens, context)


class Residual(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.out_channels = after
        self.layer = nn.Conv2d(before, after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).tanh()


class TinyUNet(nn.Module):
    """Two levels in the original code's form."""

    def __init__(self) -> None:
        super().__init__()
        self.input_blocks = nn.ModuleList(
            [
                nn.ModuleList([Residual(CHANNELS, 8), TransformerBlock(8)]),
                nn.ModuleList([Residual(8, 16), TransformerBlock(16)]),
            ]
        )
        self.middle_block = nn.ModuleList([Residual(16, 16), TransformerBlock(16), Residual(16, 16)])
        self.output_blocks = nn.ModuleList([nn.ModuleList([Residual(32, 8)]), nn.ModuleList([Residual(16, CHANNELS)])])

    def forward(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        skips: list[Tensor] = []
        h = x + sigma.log()[:, None, None, None]
        for residual, attending in self.input_blocks:
            h = self._attending(attending, residual(h), context)
            skips.append(h)
        first, attending, last = self.middle_block
        h = last(self._attending(attending, first(h), context))
        for (block,) in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1))
        return h

    @staticmethod
    def _attending(block: Any, h: Tensor, context: Tensor) -> Tensor:
        return block(h.flatten(2).transpose(1, 2), context).transpose(1, 2).unflatten(2, h.shape[-2:])


@dataclass
class Condition:
    cond: Tensor

    def process_cond(self, batch_size: int, device: Any, **_about: Any) -> Condition:
        assert self.cond.shape[0] == batch_size
        return type(self)(self.cond.to(device))

    def can_concat(self, other: Any) -> bool:
        return self.cond.shape == other.cond.shape

    def concat(self, others: Any) -> Tensor:
        return torch.cat([self.cond, *(other.cond for other in others)])


class ConditionCrossAttn(Condition):
    def can_concat(self, other: Any) -> bool:
        one, two = self.cond.shape[1], other.cond.shape[1]
        return math.lcm(one, two) // min(one, two) <= 4

    def concat(self, others: Any) -> Tensor:
        conds = [self.cond, *(other.cond for other in others)]
        longest = math.lcm(*(cond.shape[1] for cond in conds))
        return torch.cat([cond.repeat(1, longest // cond.shape[1], 1) for cond in conds])


class Model:
    """The host's KModel: latents with variance that explodes to denoised images; counts its rows."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.diffusion_model = TinyUNet().eval().requires_grad_(False)
        self.rows: list[int] = []

    def apply_model(
        self, x: Tensor, sigma: Tensor, c_crossattn: Tensor, transformer_options: Any, **more: Any
    ) -> Tensor:
        assert not more, f"the host's UNet takes no {sorted(more)}"
        assert len(transformer_options["cond_or_uncond"]) * len(transformer_options["sigmas"]) == len(x)
        self.rows.append(len(x))
        return self.denoised(x, sigma, c_crossattn)

    def denoised(self, x: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
        level = sigma[:, None, None, None]
        return x - level * self.diffusion_model(x / (level**2 + 1).sqrt(), sigma, context)


@dataclass
class Patcher:
    model: Model
    model_options: dict[str, Any] = field(default_factory=lambda: {"transformer_options": {}})

    def clone(self) -> Patcher:
        return Patcher(self.model, copy.deepcopy(self.model_options))

    def add_conditioning_modifier(self, modifier: Any) -> None:
        self.model_options.setdefault("conditioning_modifiers", []).append(modifier)


def calc_cond_uncond_batch(
    model: Model, cond: Any, uncond: Any, x: Tensor, timestep: Tensor, options: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    sums, counts = [torch.zeros_like(x), torch.zeros_like(x)], [1e-37, 1e-37]
    waiting = [(entry, side) for side, entries in enumerate((cond, uncond)) for entry in entries or []]
    while waiting:
        first = _processed(waiting[0][0], x)
        fitting = [i for i, (entry, _) in enumerate(waiting) if _fits(_processed(entry, x), first)]
        batch = [waiting.pop(i) for i in reversed(fitting)]
        conds = [_processed(entry, x) for entry, _ in batch]
        c: dict[str, Any] = {key: conds[0][key].concat([cond[key] for cond in conds[1:]]) for key in conds[0]}
        sides = [side for _, side in batch]
        c["transformer_options"] = {"cond_or_uncond": sides, "sigmas": timestep}
        many, levels = torch.cat([x] * len(batch)), torch.cat([timestep] * len(batch))
        if "model_function_wrapper" in options:
            told = {"input": many, "timestep": levels, "c": c, "cond_or_uncond": sides}
            out = options["model_function_wrapper"](model.apply_model, told)
        else:
            out = model.apply_model(many, levels, **c)
        for (entry, side), part in zip(batch, out.chunk(len(batch)), strict=True):
            sums[side] = sums[side] + part * entry.get("strength", 1.0)
            counts[side] += entry.get("strength", 1.0)
    return sums[0] / counts[0], sums[1] / counts[1]


def _processed(entry: dict[str, Any], x: Tensor) -> dict[str, Any]:
    conds = entry["model_conds"].items()
    return {key: cond.process_cond(batch_size=x.shape[0], device=x.device, area=None) for key, cond in conds}


def _fits(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(one[key].can_concat(other[key]) for key in one)


def sampling_function(
    model: Model, x: Tensor, timestep: Tensor, uncond: Any, cond: Any, scale: float, options: dict[str, Any]
) -> tuple[Tensor, Tensor]:
    """The guided image and the negative's prediction, which is nothing but zeros where it was not run."""
    strength = sum(entry.get("strength", 1.0) for entry in cond)
    run = None if math.isclose(scale, 1.0) and not options.get("disable_cfg1_optimization") else uncond
    towards, away = calc_cond_uncond_batch(model, cond, run, x, timestep, options)
    about = {"input": x, "sigma": timestep, "model": model, "model_options": options}
    about |= {"cond_denoised": towards, "uncond_denoised": away}
    if "sampler_cfg_function" in options:
        told = {"cond": x - towards, "uncond": x - away, "cond_scale": scale, "timestep": timestep}
        found = x - options["sampler_cfg_function"]({**about, **told})
    else:
        found = away + (towards - away) * scale * (1.0 if math.isclose(strength, 1.0) else strength)
    for function in options.get("sampler_post_cfg_function", []):
        found = function({**about, "denoised": found, "cond": cond, "uncond": uncond})
    return found, away


class Denoiser:
    """CFGDenoiser. callback: what listens to on_cfg_denoiser. skips: whether the host drops the negative on this step;
    tells: whether it says so before the modifiers run, as all but reForge do."""

    def __init__(self, engine: Any, callback: Callable[[Any], None]) -> None:
        self.inner_model = SimpleNamespace(inner_model=engine)
        self.callback = callback
        self.step, self.total_steps = 3, 10
        self.classic_ddim_eps_estimation = False
        self.need_last_noise_uncond, self.last_noise_uncond = False, None
        self.skips, self.tells = False, True

    def forward(self, x: Tensor, sigma: Tensor, texts: list[Tensor], negative: Any, weights: list[float], scale: float):
        params = SimpleNamespace(denoiser=self, x=x, sigma=sigma, text_uncond=negative)
        # Image-major, as the hosts flatten AND prompts.
        params.text_cond = torch.stack(texts, dim=1).flatten(0, 1)
        self.callback(params)
        unet = self.inner_model.inner_model.forge_objects.unet
        uncond = None if params.text_uncond is None else [compiled(params.text_uncond)]
        every = len(texts)
        cond = [{**compiled(params.text_cond[j::every]), "strength": weight} for j, weight in enumerate(weights)]
        scale = 1.0 if self.skips and self.tells else scale
        model, options, seed = unet.model, unet.model_options, 0
        for modifier in options.get("conditioning_modifiers", []):
            given = modifier(model, x, sigma, uncond, cond, scale, options, seed)
            model, x, sigma, uncond, cond, scale, options, seed = given
        if self.skips and not self.tells:
            uncond, scale = None, 1.0
        found, away = sampling_function(model, x, sigma, uncond, cond, scale, options)
        if self.need_last_noise_uncond:
            self.last_noise_uncond = (x - away) / sigma[:, None, None, None]
        self.step += 1
        return found


def compiled(cond: Tensor) -> dict[str, Any]:
    return {"cross_attn": cond, "model_conds": {"c_crossattn": ConditionCrossAttn(cond)}}


def engine() -> Any:
    """What `p.sd_model` is."""
    return SimpleNamespace(forge_objects=SimpleNamespace(unet=Patcher(Model())), is_sd1=True)
