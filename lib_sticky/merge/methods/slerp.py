"""Interpolation along the arc between two models."""

from __future__ import annotations

from typing import Annotated

import torch

from .registry import Either, GramOf, Range, merge_method

Share = Annotated[float, Range(0.0, 1.0, 0.05, "how far from A to B")]
PARALLEL = 1e-6  # sin(angle) below which the arc is a line.


@merge_method(
    label="SLERP",
    kind="gram",
    formula="(sin((1-α)ω)·A/‖A‖ + sin(αω)·B/‖B‖)/sin ω · lerp(‖A‖, ‖B‖, α)",
    source="Shoemake 1985; whole tensors, as in sd-mecha",
)
def slerp(gram: Annotated[torch.Tensor, GramOf("a b")], *, alpha: Share = 0.5) -> Either[torch.Tensor]:
    """Turn from A to B while the length changes evenly; a straight line where they point the same way."""
    norms = gram.diagonal().clamp(min=0.0).sqrt()
    arc = _arc(gram, norms, alpha)
    if arc is None:
        return torch.tensor([1.0 - alpha, alpha], dtype=gram.dtype)
    return arc / norms * torch.lerp(norms[0], norms[1], alpha)


@merge_method(
    label="NuSLERP",
    kind="gram",
    formula="sin((1-α)ω)/sin ω·A + sin(αω)/sin ω·B",
    source="mergekit, method nuslerp, whole tensors",
)
def nuslerp(gram: Annotated[torch.Tensor, GramOf("a b")], *, alpha: Share = 0.5) -> Either[torch.Tensor]:
    """SLERP that keeps each model's own length."""
    arc = _arc(gram, gram.diagonal().clamp(min=0.0).sqrt(), alpha)
    return torch.tensor([1.0 - alpha, alpha], dtype=gram.dtype) if arc is None else arc


def _arc(gram: torch.Tensor, norms: torch.Tensor, alpha: float) -> torch.Tensor | None:
    """Return the weights of the two unit vectors, or None when they are parallel or one is zero."""
    if not bool((norms > 0).all()):
        return None
    angle = torch.acos((gram[0, 1] / norms.prod()).clamp(-1.0, 1.0))
    if torch.sin(angle) < PARALLEL:
        return None
    return torch.sin(torch.stack([(1.0 - alpha) * angle, alpha * angle])) / torch.sin(angle)
