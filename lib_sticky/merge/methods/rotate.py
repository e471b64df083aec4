"""Turning one model towards another without stretching it."""

from __future__ import annotations

from typing import Annotated

import torch

from .decompositions import orthogonal_power, orthonormal, reflects, svd
from .registry import Either, Range, merge_method

Alignment = Annotated[float, Range(0.0, 1.0, 0.05, "how far A is turned towards B")]
Share = Annotated[float, Range(0.0, 1.0, 0.05, "how much of what turning cannot reach is taken from B")]


@merge_method(
    label="Rotate",
    kind="tensor",
    formula="lerp(A - μa, (B - μb)·Q⁻¹, α)·Q^t + lerp(μa, μb, t), Q = argmin ‖(A - μa)·Q - (B - μb)‖ orthogonal",
    source="sd-mecha, rotate; Schönemann 1966 (orthogonal Procrustes)",
)
def rotate(
    a: Either[torch.Tensor], b: Either[torch.Tensor], *, alignment: Alignment = 1.0, alpha: Share = 0.0
) -> Either[torch.Tensor]:
    """Turn A's rows by the orthogonal matrix that brings them nearest to B's; vectors are mixed by alpha."""
    if a.ndim < 2 or torch.equal(a, b):
        return torch.lerp(a, b, alpha)
    kernel = a.ndim == 4 and a[0, 0].numel() > 1
    first, second = (x.flatten(0, 1).flatten(1) if kernel else x.flatten(1) for x in (a, b))
    mean_a, mean_b = first.mean(0), second.mean(0)
    first, second = first - mean_a, second - mean_b
    basis, turn = procrustes(first, second, whole=alignment in (0.0, 1.0))
    if alpha:
        first = torch.lerp(first, _turned(second, basis, turn.T), alpha)
    turned = _turned(first, basis, orthogonal_power(turn, alignment))
    return (turned + torch.lerp(mean_a, mean_b, alignment)).view_as(a)


def procrustes(a: torch.Tensor, b: torch.Tensor, *, whole: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return W (p x r) and R (r x r) so that Q = I + W·(R - I)·Wᵀ is the orthogonal matrix with a·Q nearest to b.

    Q differs from the identity only in the span of the rows of `a` and `b`. Unless `whole`, a reflection is avoided,
    because it has no real fractional powers.
    """
    rows = torch.cat([a, b])
    basis = orthonormal(rows.T) if rows.shape[0] < rows.shape[1] else torch.eye(rows.shape[1]).to(a)
    u, _, vh = svd((a @ basis).T @ (b @ basis))
    if not whole and reflects(u @ vh):
        u = torch.cat([u[:, :-1], -u[:, -1:]], 1)
    return basis, u @ vh


def _turned(rows: torch.Tensor, basis: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    inside = rows @ basis
    return rows + (inside @ turn - inside) @ basis.T
