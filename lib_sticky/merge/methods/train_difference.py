"""Add difference that looks at how much each number was trained."""

from __future__ import annotations

import torch

from .add_difference import Strength
from .registry import Weight, merge_method


@merge_method(
    label="Train difference",
    kind="elementwise",
    formula="A + 1.8·α·(B - C)·|B - A|/(|B - A| + |B - C|), and 0 for 0/0",
    source="supermerger, calculation mode trainDifference; the factor is SwiftIllusion's",
)
def train_difference(
    a: Weight[torch.Tensor], b: Weight[torch.Tensor], c: Weight[torch.Tensor], *, alpha: Strength = 1.0
) -> Weight[torch.Tensor]:
    """Add to A what B learned since C, less where A is there already."""
    learned, away = b - c, (b - a).abs()
    total = away + learned.abs()
    return a + 1.8 * alpha * learned * torch.where(total > 0, away / total, torch.zeros_like(total))
