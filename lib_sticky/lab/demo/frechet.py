"""Fréchet distance between two sets of judge features, as Gaussians (Heusel et al. 2017, arXiv:1706.08500)."""

from __future__ import annotations

import torch
from torch import Tensor


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    features = features.double()
    return features.mean(0), torch.cov(features.T)


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Squared distance of means plus trace term; features [N,D] and [M,D], N and M above D for a stable result."""
    mean_a, cov_a = _moments(first)
    mean_b, cov_b = _moments(second)
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp_min(0).sqrt().sum()
    trace = cov_a.trace() + cov_b.trace() - 2 * cross
    return float((mean_a - mean_b).square().sum() + trace)
