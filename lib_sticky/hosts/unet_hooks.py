"""Guidance inside one call of a UNet: rows with other attention or shuffled tokens, FreeU, and the attention SAG needs.

Everything hangs on torch's own hooks around the projections of a layer, so a host may compute the attention between
them in any way that it likes, and nothing is left on the model after the call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lib_sticky.guidance import freeu
from lib_sticky.guidance.attention_rows import Attention, blur_rows, identity_rows
from lib_sticky.guidance.passes import Pass, Row
from lib_sticky.guidance.token_grid import token_grid
from lib_sticky.guidance.tpg import permutation, shuffle
from lib_sticky.hosts.unet_parts import Decoding, UNetParts


@dataclass(frozen=True)
class Wanted:
    """What the calls of one step are to do: how each row is run, for latents of `size` (rows, columns) on `step`.

    freeu: its settings where it acts. watched: the rows whose middle attention SAG needs, none without it.
    """

    rows: Sequence[Row]
    size: tuple[int, int]
    step: int
    sigma: float = 0.0
    freeu: freeu.FreeU | None = None
    watched: tuple[int, ...] = ()


@dataclass
class Seen:
    """The queries and keys of the watched rows in the first middle layer, each [rows, heads, tokens, channels]."""

    parts: dict[str, list[Tensor]] = field(default_factory=dict)

    @property
    def attention(self) -> Tensor | None:
        """The attention weights of the watched rows, [rows, heads, queries, keys]; None where none was seen."""
        if len(self.parts) < 2:
            return None
        q, k = (torch.cat(self.parts[name]) for name in ("to_q", "to_k"))
        return (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)


@dataclass
class _Cursor:
    """Which rows the model is running: hosts may take the rows of a step in several calls, one after another."""

    wanted: Wanted
    start: int = 0
    stop: int = 0

    def advance(self, _module: Any, inputs: tuple[Tensor, ...]) -> None:
        """Go on to the next call's rows; as a pre-hook of the whole model."""
        self.start, self.stop = self.stop, self.stop + inputs[0].shape[0]

    @property
    def rows(self) -> list[Row]:
        """How the rows of this call are run; rows that nobody asked for (another extension's call) are plain."""
        known = list(self.wanted.rows[self.start : self.stop])
        return known + [Row(Pass.COND)] * (self.stop - self.start - len(known))

    @property
    def kinds(self) -> list[Attention]:
        """The self-attention of each row."""
        return [row.attention for row in self.rows]

    @property
    def watched(self) -> list[int]:
        """The watched rows, as positions in this call."""
        return [i - self.start for i in self.wanted.watched if self.start <= i < self.stop]


@contextmanager
def hooked(parts: UNetParts, wanted: Wanted) -> Iterator[Seen]:
    """Do what is `wanted` in the model calls inside, which run its rows in order, in one call or several."""
    seen = Seen()
    with ExitStack() as stack:
        for handle in _handles(parts, _Cursor(wanted), seen):
            stack.callback(handle.remove)
        yield seen


def _handles(parts: UNetParts, now: _Cursor, seen: Seen) -> Iterator[Any]:
    yield parts.whole.register_forward_pre_hook(now.advance)
    kinds = {row.attention for row in now.wanted.rows}
    for layer in parts.middle:
        if Attention.BLURRED in kinds:
            yield _blurring(layer, now)
        if Attention.IDENTITY in kinds:
            yield from _keeping_values(layer, now)
    if any(row.shuffled for row in now.wanted.rows):
        yield from (_shuffling(block, number, now) for number, block in enumerate(parts.encoder))
    if now.wanted.freeu:
        yield from (_strengthening(decoding, parts.widths, now.wanted.freeu) for decoding in parts.decoder)
    if now.wanted.watched and parts.middle:
        yield from _watching(parts.middle[0], now, seen)


def _blurring(layer: Any, now: _Cursor) -> Any:
    def blur(_module: Any, _inputs: Any, q: Tensor) -> Tensor:
        return blur_rows(q, now.kinds, token_grid(q.shape[1], *now.wanted.size), now.wanted.sigma)

    return layer.to_q.register_forward_hook(blur)


def _keeping_values(layer: Any, now: _Cursor) -> Iterator[Any]:
    values: list[Tensor] = []

    def remember(_module: Any, _inputs: Any, v: Tensor) -> None:
        values[:] = [v]

    def put_back(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (identity_rows(inputs[0], values.pop(), now.kinds), *inputs[1:])

    yield layer.to_v.register_forward_hook(remember)
    yield layer.to_out[0].register_forward_pre_hook(put_back)


def _shuffling(block: Any, number: int, now: _Cursor) -> Any:
    def mix(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        rows = [i for i, row in enumerate(now.rows) if row.shuffled]
        hidden = inputs[0].clone()
        hidden[rows] = shuffle(hidden[rows], permutation(hidden.shape[1], now.wanted.step, number))
        return (hidden, *inputs[1:])

    return block.register_forward_pre_hook(mix)


def _strengthening(decoding: Decoding, widths: tuple[int, int], settings: freeu.FreeU) -> Any:
    factors = {widths[0]: (settings.b1, settings.s1), widths[1]: (settings.b2, settings.s2)}
    backbone, skip = factors.get(decoding.below, (1.0, 1.0))

    def change(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        below, from_skip = inputs[0][:, : decoding.below], inputs[0][:, decoding.below :]
        stronger = freeu.backbone(below, backbone, settings.version)
        return (torch.cat([stronger, freeu.skip(from_skip, skip)], dim=1), *inputs[1:])

    return decoding.block.register_forward_pre_hook(change)


def _watching(layer: Any, now: _Cursor, seen: Seen) -> Iterator[Any]:
    def remembering(name: str) -> Any:
        def remember(_module: Any, _inputs: Any, projected: Tensor) -> None:
            rows = projected[now.watched].float().unflatten(-1, (layer.heads, -1)).transpose(1, 2)
            seen.parts.setdefault(name, []).append(rows)

        return remember

    yield from (getattr(layer, name).register_forward_hook(remembering(name)) for name in ("to_q", "to_k"))
