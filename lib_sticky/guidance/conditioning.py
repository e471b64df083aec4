"""Text conditionings of several images as one batch, also where their token counts differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

CROSSATTN = "crossattn"
"""The key of a dict conditioning whose second last axis counts tokens (SDXL; its other entries are per image)."""

TOKENS = -2


def repeat_tokens(cond: Tensor, tokens: int) -> Tensor:
    """`cond` [..., T, C] repeated along its tokens to `tokens`, a multiple of T.

    Cross-attention gives every copy of a token the same share of what the token had alone, so its output is unchanged.
    """
    have = cond.shape[TOKENS]
    if tokens % have:
        raise ValueError(f"{tokens} tokens are no multiple of {have}")
    if tokens == have:
        return cond
    repeats = [1] * cond.ndim
    repeats[TOKENS] = tokens // have
    return cond.repeat(repeats)


def token_counts(conds: Sequence[Tensor | Mapping[str, Tensor]]) -> list[int]:
    """Tokens of each conditioning."""
    return [(cond[CROSSATTN] if isinstance(cond, Mapping) else cond).shape[TOKENS] for cond in conds]


def stack(conds: Sequence[Tensor | Mapping[str, Tensor]]) -> Tensor | dict[str, Tensor]:
    """One batch [B, T, C] of the conditionings [T, C] of B images (or of dicts with `crossattn`, entry by entry).

    Different token counts are brought to their least common multiple by `repeat_tokens`.
    """
    tokens = math.lcm(*token_counts(conds))
    first = conds[0]
    if isinstance(first, Tensor):
        return torch.stack([repeat_tokens(cond, tokens) for cond in conds if isinstance(cond, Tensor)])
    dicts = [cond for cond in conds if isinstance(cond, Mapping)]
    return {
        key: torch.stack([repeat_tokens(cond[key], tokens) if key == CROSSATTN else cond[key] for cond in dicts])
        for key in first
    }
