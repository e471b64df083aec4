"""The Karcher mean: the centre of models on the sphere of directions."""

from __future__ import annotations

from typing import Annotated

import torch

from .registry import Either, GramOf, Range, merge_method

Iterations = Annotated[int, Range(1, 1000, 1, "most steps")]


@merge_method(
    label="Karcher mean",
    kind="gram",
    formula="u with Σ log_u(Mᵢ/‖Mᵢ‖) = 0, times the mean ‖Mᵢ‖",
    source="Karcher 1977; steps as in mergekit",
)
def karcher(
    gram: Annotated[torch.Tensor, GramOf("*models")], *, maxiter: Iterations = 10, tol: float = 1e-5
) -> Either[torch.Tensor]:
    """Average directions along the sphere and lengths along the line; SLERP for any number of models."""
    norms = gram.diagonal().clamp(min=0.0).sqrt()
    if not bool((norms > 0).all()):
        return torch.full_like(norms, 1.0 / norms.numel())
    cosines = gram / norms.outer(norms)
    share = 1.0 / norms.numel()
    centre = _unit(torch.full_like(norms, share), cosines)
    for _ in range(maxiter):
        towards = (cosines @ centre).clamp(-1.0, 1.0)
        angle = torch.acos(towards)
        pull = torch.where(angle > tol, angle / torch.sin(angle).clamp(min=1e-12), torch.ones_like(angle)) * share
        tangent = pull - (pull * towards).sum() * centre
        length = _length(tangent, cosines)
        if length < tol:
            break
        centre = _unit(torch.cos(length) * centre + torch.sin(length) / length * tangent, cosines)
    return centre / norms * norms.mean()


def _length(weights: torch.Tensor, cosines: torch.Tensor) -> torch.Tensor:
    return (weights @ cosines @ weights).clamp(min=0.0).sqrt()


def _unit(weights: torch.Tensor, cosines: torch.Tensor) -> torch.Tensor:
    return weights / _length(weights, cosines).clamp(min=1e-12)
