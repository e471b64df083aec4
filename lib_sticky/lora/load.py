"""Opening LoRA files for the layers of a loaded model, with everything that is wrong with them said by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from lib_sticky.merge.errors import CheckpointError

from .branch import Branch, branch_of
from .factors import stacked
from .files import LoraFile
from .places import Places


@dataclass(frozen=True)
class Strong:
    """A LoRA file and how strongly it acts."""

    path: Path
    strength: float


def branches_of(loras: Iterable[Strong], places: Places) -> dict[nn.Module, list[Branch]]:
    """The branches of all `loras` on the layers in `places`, plain ones as one a layer; a strength of 0 adds none.

    Raises CheckpointError that names the file, and the module at fault: damaged, of another shape, or none that fits.
    """
    found: dict[nn.Module, list[Branch]] = {}
    for lora in loras:
        if not lora.strength:
            continue
        file = LoraFile(lora.path)
        try:
            _require_place(file, lora.path, places)
            for name in file.names():
                if name in places:
                    branch = branch_of(file.module(name), places[name], lora.strength, f"{lora.path.name}: {name}")
                    found.setdefault(places[name], []).append(branch)
        finally:
            file.close()
    return {layer: stacked(branches) for layer, branches in found.items()}


def without_place(loras: Iterable[Strong], places: Places) -> list[str]:
    """For each LoRA with modules that have no layer here a sentence that says so."""
    told: list[str] = []
    for lora in loras:
        file = LoraFile(lora.path)
        names = list(file.names())
        file.close()
        lost = [name for name in names if name not in places]
        if lost and lora.strength:
            told.append(f"{len(lost)} of {len(names)} modules of {lora.path.name} have no place here: {lost[0]} ...")
    return told


def _require_place(file: LoraFile, path: Path, places: Places) -> None:
    """Refuse a LoRA of another kind of model; one for the text encoder alone has a place only there."""
    names = list(file.names())
    lost = [name for name in names if name not in places]
    if len(lost) == len(names):
        raise CheckpointError(f"{path.name} is not for this model: it changes {_some(lost)}, which the model lacks")


def _some(names: Sequence[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else "".join(names) or "nothing"
