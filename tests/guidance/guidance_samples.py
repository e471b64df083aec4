"""Tensors that the guidance tests share."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

SHAPES = st.sampled_from([(4, 8, 8), (4, 5, 7), (1, 3, 3), (4, 3, 6, 5), (16, 2, 4, 4)])
SEEDS = st.integers(0, 2**31 - 1)


def latents(seed: int, *shape: int, spread: float = 1.0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Normal numbers that depend only on the seed and the shape."""
    values = np.random.default_rng(seed).normal(size=shape) * spread
    return torch.from_numpy(values).to(dtype)


def close(a: Tensor, b: Tensor | np.ndarray, tolerance: float = 1e-5) -> None:
    """Assert that two tensors agree to `tolerance`, relative to the largest value."""
    expected = np.asarray(b, dtype=np.float64)
    found = a.double().numpy()
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    assert np.abs(found - expected).max() <= tolerance * max(1.0, np.abs(expected).max())
