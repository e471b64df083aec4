"""Single questions to the model: does mid-block self-attention matter, how far does the text encoder dilute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor

from lib_sticky.lab.demo.diffusion import text_states
from lib_sticky.lab.demo.layout import SCALE_FACTOR, alphas_cumprod

BAD_WORDS = "blurry, noisy, distorted, artifacts, low quality"
NEGATIVES = ("low quality", "bad quality, ugly", BAD_WORDS)


class _ValuesOnly:
    """Self-attention whose map is the identity: each token gets its own value (arXiv:2403.17377)."""

    def __call__(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        return attn.to_out[0](attn.to_v(hidden_states))


@contextmanager
def mid_self_attention_off(unet: UNet2DConditionModel) -> Iterator[None]:
    """Self-attention of the mid block replaced by the identity map while the context lasts."""
    attention = unet.mid_block.attentions[0].transformer_blocks[0].attn1
    before = attention.processor
    attention.processor = _ValuesOnly()
    try:
        yield
    finally:
        attention.processor = before


@torch.no_grad()
def dilution(
    pipe: StableDiffusionPipeline, texts: list[str], grids: Tensor, steps: tuple[int, ...]
) -> list[dict[str, float]]:
    """At each time step, the fit D(c, bad) - D() = alpha (D(c) - D()) + beta (D(bad) - D()), and the gap ratio.

    `grids` are unscaled latents [N,4,16,16] of the prompts' pictures. The gap ratio is rms(D(c) - D(c, bad)) over
    rms(D(c) - D()), what a sticky negative pushes with against what an empty one does.
    """
    empty = text_states(pipe.text_encoder, [""]).expand(len(texts), -1, -1)
    states = [
        text_states(pipe.text_encoder, texts),
        text_states(pipe.text_encoder, [f"{text}, {BAD_WORDS}" for text in texts]),
        text_states(pipe.text_encoder, [BAD_WORDS]).expand(len(texts), -1, -1),
    ]
    draw = torch.Generator().manual_seed(5)
    rows: list[dict[str, float]] = []
    for step in steps:
        kept = alphas_cumprod()[step]
        noise = torch.randn(grids.shape, generator=draw)
        noisy = (kept.sqrt() * grids.float() * SCALE_FACTOR + (1 - kept).sqrt() * noise).to(pipe.unet.dtype)
        base = pipe.unet(noisy, step, empty, return_dict=False)[0].float()
        subject, both, bad = (
            (pipe.unet(noisy, step, state, return_dict=False)[0].float() - base).flatten().double() for state in states
        )
        table = torch.stack((subject, bad), 1)
        alpha, beta = torch.linalg.lstsq(table, both.unsqueeze(1)).solution.flatten().tolist()
        left = float((both - table @ torch.tensor([alpha, beta], dtype=torch.float64)).norm() / both.norm())
        ratio = float((subject - both).norm() / subject.norm())
        sigma = float(((1 - kept) / kept).sqrt())
        fit = {"alpha": alpha, "beta": beta, "unexplained": left}
        rows.append({"step": step, "sigma": sigma, **fit, "gap ratio": ratio})
    return rows
