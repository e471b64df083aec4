"""The difference of two checkpoints as a LoRA."""

from __future__ import annotations

from pathlib import Path

import torch

from lib_sticky.merge.checkpoint_io import CheckpointReader
from lib_sticky.merge.dtypes import FLOATS
from lib_sticky.merge.errors import PlanRefused
from lib_sticky.merge.methods.truncate_rank import low_rank
from lib_sticky.merge.operands import Form, Scratch, read_whole
from lib_sticky.merge.sources import Source

from .combine import as_module, balanced, factors_of
from .files import write_lora
from .names import slots_of

EXACT = 512  # Matrices up to this size are decomposed in full; larger ones with a random basis.
BASE_VERSION = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0", "sd3": "sd3", "flux": "flux1"}


def extract(
    tuned: Path, base: Path, target: Path, *, rank: int = 32, least: float = 0.0, seed: int = 0, overwrite: bool = False
) -> int:
    """Write the LoRA of `rank` nearest to tuned - base; returns the number of modules.

    A tensor whose largest difference is not above `least` is left out. Names are kohya's. Raises PlanRefused for
    models of different or unknown architecture.
    """
    first, second = Source(tuned.name, CheckpointReader(tuned)), Source(base.name, CheckpointReader(base))
    try:
        name = first.architecture.name
        if name != second.architecture.name or name not in BASE_VERSION:
            raise PlanRefused(f"{tuned} is {first.architecture.label}, {base} is {second.architecture.label}")
        tensors: dict[str, torch.Tensor] = {}
        count = 0
        for key in first.actual:
            made = _modules(first, second, key, rank, least, seed)
            tensors |= made
            count += len(made) // 3
        write_lora(target, tensors, _metadata(name, rank, tuned, base), overwrite=overwrite)
        return count
    finally:
        first.reader.close()
        second.reader.close()


def _modules(first: Source, second: Source, key: str, rank: int, least: float, seed: int) -> dict[str, torch.Tensor]:
    slots = slots_of(key, first.architecture.name)
    mine, theirs = first.entry(key), second.entry(key)
    if not slots or mine is None or theirs is None or len(mine.shape) < 2 or mine.shape != theirs.shape:
        return {}
    tensors = first.tensor(key), second.tensor(key)
    if tensors[0] is None or tensors[1] is None or mine.dtype not in FLOATS or theirs.dtype not in FLOATS:
        return {}
    change = read_whole(Form({tensors[0]: 1.0}) - Form({tensors[1]: 1.0}), mine.shape, Scratch())
    made: dict[str, torch.Tensor] = {}
    for slot, part in zip(slots, change.chunk(slots[0].parts), strict=True):
        if float(part.abs().max()) > least:
            made |= as_module(_name(slot.names, first.architecture.name), *_factors(part, rank, seed))
    return made


def _name(names: tuple[str, ...], architecture: str) -> str:
    """kohya's trainer names SD1 and SD2 modules as diffusers does, and SDXL's as the checkpoint does."""
    return names[-1] if architecture in ("sd1", "sd2") else names[0]


def _factors(change: torch.Tensor, rank: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    matrix = change.flatten(1)
    rank = min(rank, *matrix.shape)
    if min(matrix.shape) <= max(EXACT, rank):
        return factors_of(change, rank)
    u, s, vh = low_rank(matrix, rank, iterations=2, seed=seed)
    return balanced(u, s, vh, tuple(change.shape))


def _metadata(architecture: str, rank: int, tuned: Path, base: Path) -> dict[str, str]:
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(float(rank)),
        "ss_base_model_version": BASE_VERSION[architecture],
        "ss_sd_model_name": base.name,
        "ss_training_comment": f"extracted: {tuned.stem} - {base.stem}",
    }
