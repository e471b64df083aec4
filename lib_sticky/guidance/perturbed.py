"""The guidance that all weakened passes share: away from a prediction made with a crippled model."""

from __future__ import annotations

from torch import Tensor


def push(strong: Tensor, weak: Tensor, scale: float) -> Tensor:
    """scale * (D_strong - D_weak), to be added to the guided prediction.

    Source: PAG (arXiv 2403.17377), SEG (2408.00760) and TPG (2506.10036) differ only in how the weak pass is made;
    SAG (2210.00939) in that the strong one is a blurred image.
    """
    return (strong - weak) * scale
