"""The geometric median of whole tensors, found from their inner products alone."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch

from .registry import Either, GramOf, Range, merge_method

Iterations = Annotated[int, Range(0, 10000, 1, "most steps; they cost nothing here")]


@merge_method(
    label="Geometric median",
    kind="gram",
    formula="argmin over m of Σ ‖Mᵢ - m‖",
    source="Pillutla et al., Robust aggregation (RFA), arXiv 1912.13445; Weiszfeld's algorithm",
)
def geometric_median(
    gram: Annotated[torch.Tensor, GramOf("*models")], *, maxiter: Iterations = 100
) -> Either[torch.Tensor]:
    """Return the point with the least sum of distances to all models; a few outliers hardly move it."""
    return weiszfeld(gram, eps=1e-6, ftol=1e-20, maxiter=maxiter)


def weiszfeld(gram: torch.Tensor, *, eps: float, ftol: float, maxiter: int) -> torch.Tensor:
    """Return the weights (N, sum 1) of the geometric median of N points with inner products `gram` (N x N, float64).

    The median is a weighted mean of the points, so distances to it need only `gram`: |x - m|² = G_ii - 2(Gw)_i + wGw.
    Stops when the objective changes by at most ftol of itself. In NumPy, whose small steps cost a third of torch's.
    """
    products = gram.numpy()
    own = products.diagonal()
    weights = np.full(len(own), 1.0 / len(own))
    distance = _distances(products, own, weights)
    before = distance.sum()
    for _ in range(maxiter):
        weights = 1.0 / np.maximum(distance, eps)
        weights /= weights.sum()
        distance = _distances(products, own, weights)
        now = distance.sum()
        if abs(before - now) <= ftol * now:
            break
        before = now
    return torch.as_tensor(weights)


def _distances(products: np.ndarray, own: np.ndarray, weights: np.ndarray) -> np.ndarray:
    towards = products @ weights
    return np.sqrt(np.maximum(own - 2 * towards + weights @ towards, 0.0))
