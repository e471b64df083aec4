"""torch's linear algebra with types; torch itself declares none."""
# pyright: basic

from __future__ import annotations

import torch


def svd(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the thin U, S, Vᵀ of a matrix."""
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    return u, s, vh


def orthonormal(matrix: torch.Tensor) -> torch.Tensor:
    """Return an orthonormal basis (m x min(m, n)) of the columns of a matrix."""
    return torch.linalg.qr(matrix)[0]


def reflects(orthogonal: torch.Tensor) -> bool:
    """Say whether an orthogonal matrix has determinant -1."""
    return bool(torch.linalg.slogdet(orthogonal)[0] < 0)


def orthogonal_power(orthogonal: torch.Tensor, power: float) -> torch.Tensor:
    """Return orthogonal^power, through eigenvalues on the unit circle when the power is not whole."""
    if power == 1.0:
        return orthogonal
    values, vectors = torch.linalg.eig(orthogonal)
    return ((vectors * values.pow(power)) @ torch.linalg.inv(vectors)).real


def column_cosine(a: torch.Tensor, b: torch.Tensor, dim: int) -> torch.Tensor:
    """Return the cosines of a and b along an axis; 0-d tensors count as one row."""
    return torch.nn.functional.cosine_similarity(torch.atleast_1d(a), torch.atleast_1d(b), dim=dim)


def unit_columns(a: torch.Tensor) -> torch.Tensor:
    """Return a with its columns (first axis) scaled to length 1."""
    return torch.nn.functional.normalize(torch.atleast_1d(a), dim=0)


def whole_cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the cosine of two whole tensors, nan for a zero tensor."""
    return (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt()
