"""Where attention tokens lie in the picture."""

from __future__ import annotations


def token_grid(tokens: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the map that `tokens` self-attention tokens form for latents of height x width.

    A UNet halves the latents k times, rounding up; the k whose map has `tokens` cells is the one. Raises ValueError
    where there is none (token merging, tiling, joint text tokens): the technique cannot act on that layer.
    """
    rows, columns = height, width
    while rows * columns > max(tokens, 1):
        rows, columns = -(-rows // 2), -(-columns // 2)
    if rows * columns != tokens:
        raise ValueError(
            f"{tokens} attention tokens are no halving of {height}x{width} latents; "
            "turn off token merging or tiling, or leave this technique off for this model"
        )
    return rows, columns
