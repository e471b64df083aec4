"""Prompts as CLIP's tokens, in chunks of 75 with a weight each, as A1111 cuts and weighs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lib_sticky.prompt.chunks import CHUNK
from lib_sticky.prompt.emphasis import BREAK, emphasis

COMMA_BACKTRACK = 20
"""How far before a chunk's end a comma may stand for the words after it to move to the next chunk (A1111's default)."""


@dataclass
class Chunk:
    """Token ids, without start and end, and their weights."""

    tokens: list[int] = field(default_factory=list[int])
    weights: list[float] = field(default_factory=list[float])


def chunked(pieces: Sequence[tuple[Sequence[int], float] | None], comma: int | None) -> list[Chunk]:
    """Token ids and weights in chunks of at most 75; a piece that is None ends its chunk (BREAK).

    A word that does not fit any more takes along what follows the last comma, if that is at most 20 tokens away
    (A1111's modules/sd_hijack_clip.py, tokenize_line).
    """
    chunks: list[Chunk] = []
    now, last_comma = Chunk(), -1
    for piece in pieces:
        if piece is None:
            chunks.append(now)
            now, last_comma = Chunk(), -1
            continue
        tokens, weight = piece
        for token in tokens:
            if token == comma:
                last_comma = len(now.tokens)
            elif len(now.tokens) == CHUNK and last_comma >= max(0, CHUNK - COMMA_BACKTRACK):
                cut = last_comma + 1
                moved = Chunk(now.tokens[cut:], now.weights[cut:])
                chunks.append(Chunk(now.tokens[:cut], now.weights[:cut]))
                now, last_comma = moved, -1
            if len(now.tokens) == CHUNK:
                chunks.append(now)
                now, last_comma = Chunk(), -1
            now.tokens.append(token)
            now.weights.append(weight)
    if now.tokens or not chunks:
        chunks.append(now)
    return chunks


def batches(tokenizer: Any, texts: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
    """Token ids and weights [texts, 77] of the first chunk of every text, then of the second, and so on."""
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    every = [chunked(_pieces(tokenizer, text), comma) for text in texts]
    for index in range(max(map(len, every))):
        chunks = [chunks[index] if index < len(chunks) else Chunk() for chunks in every]
        yield (
            torch.tensor([_framed(tokenizer, chunk) for chunk in chunks]),
            torch.tensor([[1.0, *chunk.weights, *[1.0] * (CHUNK + 1 - len(chunk.weights))] for chunk in chunks]),
        )


def _pieces(tokenizer: Any, text: str) -> list[tuple[list[int], float] | None]:
    weighted = emphasis(text)
    ids = tokenizer([piece for piece, _ in weighted], add_special_tokens=False, truncation=False).input_ids
    return [None if pair == BREAK else (tokens, pair[1]) for tokens, pair in zip(ids, weighted, strict=True)]


def _framed(tokenizer: Any, chunk: Chunk) -> list[int]:
    padding = [tokenizer.pad_token_id] * (CHUNK - len(chunk.tokens))
    return [tokenizer.bos_token_id, *chunk.tokens, tokenizer.eos_token_id, *padding]


def one_by_one(encode: Callable[[Tensor], tuple[Tensor, ...]], ids: Tensor) -> tuple[Tensor, ...]:
    """What `encode` gives for [1, 77] ids, stacked for every row of `ids`; equal rows are encoded once.

    In a batch a row's last bits depend on its neighbours; alone, equal chunks are equal wherever they stand, so that a
    step on which the negative equals the prompt is known for what it is.
    """
    rows = [tuple(row.tolist()) for row in ids]
    known = {row: encode(torch.tensor([row])) for row in dict.fromkeys(rows)}
    return tuple(torch.cat(column) for column in zip(*(known[row] for row in rows), strict=True))


def emphasised(hidden: Tensor, weights: Tensor) -> Tensor:
    """`hidden` [texts, 77, C] times `weights` [texts, 77], its mean over all restored (A1111's "Original" emphasis)."""
    if bool((weights == 1).all()):
        return hidden
    weighted = hidden * weights.to(hidden)[..., None]
    return weighted * (hidden.mean() / weighted.mean())
