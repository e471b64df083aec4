"""Keeping the strongest directions of a change."""

from __future__ import annotations

from typing import Annotated

import torch

from .decompositions import orthonormal, svd
from .registry import Delta, Range, merge_method

Rank = Annotated[int, Range(0, 4096, 1, "how many directions are kept")]


@merge_method(
    label="Truncate rank",
    kind="tensor",
    formula="the nearest Δ of rank r",
    source="Eckart and Young 1936; Halko et al., Finding structure with randomness, arXiv 0909.4061",
)
def truncate_rank(
    a: Delta[torch.Tensor], *, rank: Rank = 32, iterations: int = 2, seed: int = 0
) -> Delta[torch.Tensor]:
    """Keep `rank` singular directions of each matrix, found with a random basis and power iterations."""
    matrix = a.flatten(1) if a.ndim > 1 else a
    if a.ndim < 2 or rank >= min(matrix.shape):
        return a
    if rank == 0:
        return torch.zeros_like(a)
    u, s, vh = low_rank(matrix, rank, iterations, seed)
    return ((u * s) @ vh).view_as(a)


def low_rank(
    matrix: torch.Tensor, rank: int, iterations: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return U (m x r), S (r) and Vᵀ (r x n) of the `rank` largest singular values of `matrix` (m x n)."""
    generator = torch.Generator().manual_seed(seed)
    width = min(rank + 8, *matrix.shape)
    start = torch.randn(matrix.shape[1], width, generator=generator).to(matrix)
    basis = orthonormal(matrix @ start)
    for _ in range(iterations):
        basis = orthonormal(matrix @ orthonormal(matrix.T @ basis))
    u, s, vh = svd(basis.T @ matrix)
    return (basis @ u)[:, :rank], s[:rank], vh[:rank]
