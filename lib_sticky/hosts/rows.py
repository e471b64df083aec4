"""Conditionings as the WebUIs batch them: a tensor, or a dict of tensors, whose first axis counts rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lib_sticky.guidance.conditioning import CROSSATTN, TOKENS, repeat_tokens


def mapped(cond: Any, change: Callable[[str, Tensor], Tensor]) -> Any:
    """`cond` with every tensor changed, in the host's own kind of dict."""
    if isinstance(cond, Mapping):
        return type(cond)({key: change(key, value) for key, value in cond.items()})  # type: ignore[call-arg]
    return change(CROSSATTN, cond)


def tokens(cond: Any) -> int:
    """How many tokens its text has."""
    return (cond[CROSSATTN] if isinstance(cond, Mapping) else cond).shape[TOKENS]


def taken(cond: Any, rows: slice | Sequence[int]) -> Any:
    """Some rows of it."""
    return mapped(cond, lambda _, value: value[rows])


def spread(conds: Sequence[Any]) -> list[Any]:
    """All of them with one number of tokens: their least common multiple, by repeating what each has."""
    wanted = math.lcm(*(tokens(cond) for cond in conds))

    def repeated(key: str, value: Tensor) -> Tensor:
        return repeat_tokens(value, wanted) if key == CROSSATTN else value

    return [cond if tokens(cond) == wanted else mapped(cond, repeated) for cond in conds]


def joined(conds: Sequence[Any]) -> Any:
    """Their rows one after another; all must have the same number of tokens."""
    first = conds[0]
    if isinstance(first, Mapping):
        return mapped(first, lambda key, _: torch.cat([cond[key] for cond in conds]))
    return torch.cat(list(conds))
