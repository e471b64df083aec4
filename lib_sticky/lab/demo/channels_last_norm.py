"""Group normalisation for channels-last tensors on a CPU, where the built-in backward pass is an order slower."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _GroupNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, shift: Tensor, groups: int, eps: float) -> Tensor:
        """x [B,N,C] in any float type; sums in float32, one pass for each moment."""
        batch, size, channels = x.shape
        per = size * channels // groups
        total = x.sum(1, dtype=torch.float32).view(batch, groups, -1).sum(-1)
        square = torch.linalg.vector_norm(x, dim=1, dtype=torch.float32).square().view(batch, groups, -1).sum(-1)
        mean = total / per
        rstd = torch.rsqrt((square / per - mean * mean).clamp_min(0) + eps)
        wide = channels // groups
        mean, rstd = mean.repeat_interleave(wide, 1), rstd.repeat_interleave(wide, 1)
        scale = rstd * gain.float()
        ctx.save_for_backward(x, gain, mean, rstd)
        ctx.groups = groups
        return torch.addcmul((shift.float() - mean * scale).to(x.dtype).unsqueeze(1), x, scale.to(x.dtype).unsqueeze(1))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Gradients for x, gain and shift."""
        grad = grads[0].contiguous()
        x, gain, mean, rstd = ctx.saved_tensors
        batch, size, channels = x.shape
        down = grad.sum(1, dtype=torch.float32)
        along = ((grad * x).sum(1, dtype=torch.float32) - mean * down) * rstd
        wide, per = channels // ctx.groups, size * channels // ctx.groups
        weight = gain.float()
        first = (down * weight).view(batch, ctx.groups, -1).sum(-1).repeat_interleave(wide, 1) / per
        second = (along * weight).view(batch, ctx.groups, -1).sum(-1).repeat_interleave(wide, 1) / per
        slope = -rstd * rstd * second
        rest = -rstd * first - slope * mean
        out = torch.addcmul(rest.to(x.dtype).unsqueeze(1), grad, (rstd * weight).to(x.dtype).unsqueeze(1))
        out = out.addcmul_(x, slope.to(x.dtype).unsqueeze(1))
        return out, along.sum(0).to(gain.dtype), down.sum(0).to(gain.dtype), None, None


class ChannelsLastGroupNorm(nn.GroupNorm):
    """nn.GroupNorm with the same parameters, for [B,C,H,W] in channels-last memory and for [B,C,N]."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalise; the result is channels-last where the input has four axes."""
        flat = input.flatten(2).transpose(1, 2)
        if not flat.is_contiguous():
            flat = flat.contiguous()
        out = _GroupNorm.apply(flat, self.weight, self.bias, self.num_groups, self.eps)
        return out.transpose(1, 2).unflatten(2, input.shape[2:])


def for_training_on_cpu(module: nn.Module) -> nn.Module:
    """Exchange every group normalisation below `module` for the channels-last form, sharing its parameters."""
    for child in module.modules():
        if type(child) is nn.GroupNorm:
            child.__class__ = ChannelsLastGroupNorm
    return module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
