"""Git Re-Basin: put B's interchangeable units in A's order, then mix."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch

from .assignment import best_assignment
from .registry import Range, Weight, merge_method

Models = Weight[Mapping[str, torch.Tensor]]
PerKey = Callable[[str, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Member:
    """A tensor whose `axis` runs over the units of a group; `stacks` groups of units lie one after the other on it."""

    suffix: str
    axis: int
    stacks: int = 1


@dataclass(frozen=True)
class Group:
    """Units that may change places without changing what the network computes: hidden neurons, or attention heads.

    `heads` is the number of units, or 0 for one unit a row; `head_size` gives the number as rows / head_size.
    """

    pattern: re.Pattern[str]
    members: tuple[Member, ...]
    heads: int = 0
    head_size: int = 0


def _group(pattern: str, *members: Member, heads: int = 0, head_size: int = 0) -> Group:
    return Group(re.compile(pattern), members, heads, head_size)


_ATTENTION = (*(Member(f"to_{name}.weight", 0) for name in "qkv"), Member("to_out.0.weight", 1))
_CLIP_ATTENTION = tuple(Member(f"{name}_proj.{part}", 0) for name in "qkv" for part in ("weight", "bias"))
SHARED = (
    _group(r"^model\..*\.ff\.net\.", Member("0.proj.weight", 0, 2), Member("0.proj.bias", 0, 2), Member("2.weight", 1)),
    _group(r"\.mlp\.(?=fc)", Member("fc1.weight", 0), Member("fc1.bias", 0), Member("fc2.weight", 1)),
    _group(r"\.mlp\.(?=c_)", Member("c_fc.weight", 0), Member("c_fc.bias", 0), Member("c_proj.weight", 1)),
    _group(r"\.self_attn\.", *_CLIP_ATTENTION, Member("out_proj.weight", 1), head_size=64),
    _group(
        r"resblocks\.\d+\.attn\.",
        *(Member("in_proj_weight", 0, 3), Member("in_proj_bias", 0, 3), Member("out_proj.weight", 1)),
        head_size=64,
    ),
)
# SD1 has 8 heads whatever the width; SDXL has heads of 64. A cross-attention to 2048 numbers is SDXL's.
SD1_HEADS = _group(r"^model\..*\.attn[12]\.", *_ATTENTION, heads=8)
SDXL_HEADS = _group(r"^model\..*\.attn[12]\.", *_ATTENTION, head_size=64)
SDXL_KEY = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"


@merge_method(
    label="Git Re-Basin",
    kind="model",
    formula="(1 - α)·A + α·P(B), P = argmax of Σ ⟨A, P(B)⟩ over orders of hidden units and heads",
    source="Ainsworth et al., Git Re-Basin, arXiv 2209.04836; SD1 and SDXL: feed-forward units, attention heads, CLIP",
)
def git_rebasin(
    a: Models, b: Models, *, alpha: Annotated[float, Range(0.0, 1.0, 0.05, "share of the reordered B")] = 0.5
) -> Weight[PerKey]:
    """Match the hidden units of two models before mixing them.

    The groups share no unit (the residual stream keeps its order), so one exact assignment for each is the optimum.
    """
    wide = SDXL_KEY in a and a[SDXL_KEY].shape[-1] == 2048
    orders: dict[str, tuple[Member, torch.Tensor]] = {}
    for group in (*SHARED, SDXL_HEADS if wide else SD1_HEADS):
        for prefix in _prefixes(a, group):
            order = _match(a, b, group, prefix)
            orders.update({prefix + member.suffix: (member, order) for member in group.members})

    def mix(key: str, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        if key in orders:
            member, order = orders[key]
            second = _units(second, member, len(order)).index_select(1, order).flatten(0, 2)
            second = second.view(first.movedim(member.axis, 0).shape).movedim(0, member.axis)
        return torch.lerp(first, second, alpha)

    return mix


def _prefixes(models: Mapping[str, torch.Tensor], group: Group) -> list[str]:
    lead = group.members[0].suffix
    return [key[: -len(lead)] for key in models if key.endswith(lead) and group.pattern.search(key)]


def _units(tensor: torch.Tensor, member: Member, count: int) -> torch.Tensor:
    """Return a tensor as stacks x units x rows of a unit x the rest."""
    first = tensor.movedim(member.axis, 0)
    return first.reshape(member.stacks, count, first.shape[0] // (member.stacks * count), -1)


def _match(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor], group: Group, prefix: str) -> torch.Tensor:
    """Return which unit of B belongs in each place of A."""
    lead = group.members[0]
    rows = a[prefix + lead.suffix].shape[0] // lead.stacks
    count = group.heads or (rows // group.head_size if group.head_size else rows)
    gain = torch.zeros(count, count, dtype=torch.float64)
    for member in group.members:
        key = prefix + member.suffix
        if key not in a or key not in b:
            continue
        first, second = (_units(x[key], member, count).transpose(0, 1).flatten(1) for x in (a, b))
        gain += (first @ second.T).double()
    return torch.as_tensor(best_assignment(gain.numpy()))
