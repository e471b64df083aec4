"""Muon for the matrices of a small network: steps whose singular values are all about one, many matrices at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from lib_sticky.lab.demo.number_format import quick_format

MOMENTUM = 0.95
DECAY = 0.01
ROUNDS = 5
SMALLEST = 32


def is_matrix(weight: Tensor) -> bool:
    """Whether a weight, seen as [out, everything else], is large enough in both directions for Muon."""
    return weight.ndim > 1 and min(weight.shape[0], weight[0].numel()) >= SMALLEST


def orthogonalised(stack: Tensor) -> Tensor:
    """[N,rows,columns], rows at most columns: each U V' of its singular value decomposition, roughly.

    Five Newton-Schulz rounds in `quick_format` with the coefficients of Jordan et al. 2024 ("Muon: an optimizer for
    hidden layers"), which leave singular values between 0.7 and 1.2. Returns float32.
    """
    now = stack.to(quick_format(stack.device))
    now = now / (now.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(ROUNDS):
        square = now @ now.mT
        poly = torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315)
        now = torch.baddbmm(now, poly, now, beta=3.4445)
    return now.float()


class Muon:
    """Nesterov momentum, then `orthogonalised`, scaled to the size of an Adam step (Liu et al. 2025, arXiv:2502.16982).

    torch.optim.Muon is the same rule for one matrix at a time; matrices of one shape in one stack take half its time.
    """

    def __init__(self, weights: list[Tensor]) -> None:
        """`weights`: float32, each of at least two dimensions."""
        self.weights = weights
        self.momentum = [torch.zeros_like(weight) for weight in weights]
        self.alike: dict[tuple[int, int], list[int]] = {}
        for number, weight in enumerate(weights):
            rows, columns = weight.flatten(1).shape
            self.alike.setdefault((min(rows, columns), max(rows, columns)), []).append(number)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update from the weights' `.grad`."""
        for (rows, columns), numbers in self.alike.items():
            wanted = torch.stack([self._direction(number, rows) for number in numbers])
            size = 0.2 * columns**0.5
            for number, step in zip(numbers, orthogonalised(wanted), strict=True):
                weight = self.weights[number]
                whole = step if weight.shape[0] == rows else step.mT
                weight.mul_(1 - rate * DECAY).add_(whole.reshape(weight.shape), alpha=-rate * size)

    def _direction(self, number: int, rows: int) -> Tensor:
        """Where one weight's momentum points, as [rows, columns] with rows at most columns."""
        slope = self.weights[number].grad
        assert slope is not None
        wanted = slope.lerp(self.momentum[number].lerp_(slope, 1 - MOMENTUM), MOMENTUM).flatten(1)
        return wanted if wanted.shape[0] == rows else wanted.mT
