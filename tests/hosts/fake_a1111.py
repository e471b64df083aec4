"""The CFG denoiser of A1111 around the tiny UNet, after modules/sd_samplers_cfg_denoiser.py of v1.10.1."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from tests.hosts.fake_forge import Model


class Denoiser(nn.Module):
    """callback: what listens to on_cfg_denoiser. alphas: where the sampler counts timesteps and the model gives noise;
    `skips`: the host drops the negative on this step."""

    def __init__(self, model: Model, callback: Callable[[Any], None]) -> None:
        super().__init__()
        self.model, self.callback = model, callback
        self.sampler = SimpleNamespace(sampler_extra_args={})
        self.step, self.total_steps = 3, 10
        self.cond_scale_miltiplier = 1.0
        self.need_last_noise_uncond, self.last_noise_uncond = False, None
        self.skips = False

    def inner_model(self, x: Tensor, sigma: Tensor, cond: dict[str, Any]) -> Tensor:
        (text,), (image_cond,) = cond["c_crossattn"], cond["c_concat"]
        assert len(x) == len(sigma) == len(text) == len(image_cond)
        self.model.rows.append(len(x))
        return self.model.denoised(x, sigma, text)

    def combine_denoised(self, x_out: Tensor, conds_list: Any, uncond: Tensor, cond_scale: float) -> Tensor:
        away = x_out[-uncond.shape[0] :]
        found = away.clone()
        for i, conds in enumerate(conds_list):
            for row, weight in conds:
                found[i] += (x_out[row] - away[i]) * (weight * cond_scale)
        return found

    def forward(self, x: Tensor, sigma: Tensor, texts: list[Tensor], negative: Tensor, weights: list[float]) -> Tensor:
        images, parts = len(x), len(weights)
        conds_list = [[(i * parts + j, weight) for j, weight in enumerate(weights)] for i in range(images)]
        params = SimpleNamespace(denoiser=self, text_cond=torch.stack(texts, dim=1).flatten(0, 1), text_uncond=negative)
        for name, values in (("x", x), ("sigma", sigma), ("image_cond", torch.zeros(images, 1))):
            setattr(params, name, torch.cat([values.repeat_interleave(parts, dim=0), values]))
        self.callback(params)
        x_in, sigma_in, image_cond = params.x, params.sigma, params.image_cond
        tensor, uncond = params.text_cond, params.text_uncond
        if self.skips:
            x_in, sigma_in, image_cond = x_in[:-images], sigma_in[:-images], image_cond[: -images or None]
        if tensor.shape[1] == uncond.shape[1] or self.skips:
            cond = tensor if self.skips else torch.cat([tensor, uncond])
            x_out = self.inner_model(x_in, sigma_in, {"c_crossattn": [cond], "c_concat": [image_cond]})
        else:
            x_out = torch.zeros_like(x_in)
            many = 2 * images
            cuts = [(a, min(a + many, len(tensor))) for a in range(0, len(tensor), many)]
            for a, b in cuts:
                cond = {"c_crossattn": [tensor[a:b]], "c_concat": [image_cond[a:b]]}
                x_out[a:b] = self.inner_model(x_in[a:b], sigma_in[a:b], cond)
            if len(uncond):
                last = len(uncond)
                cond = {"c_crossattn": [uncond], "c_concat": [image_cond[-last:]]}
                x_out[-last:] = self.inner_model(x_in[-last:], sigma_in[-last:], cond)
        if self.skips:
            x_out = torch.cat([x_out, x_out[[own[0][0] for own in conds_list]]])
        if self.need_last_noise_uncond:
            self.last_noise_uncond = x_out[-uncond.shape[0] :].clone()
        scale = self.sampler.sampler_extra_args["cond_scale"] * self.cond_scale_miltiplier
        found = self.combine_denoised(x_out, conds_list, uncond, 1.0 if self.skips else scale)
        self.step += 1
        return found
