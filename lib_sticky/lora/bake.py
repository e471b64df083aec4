"""LoRAs as operands of a merge: the change that a file makes to each key of a checkpoint."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch

from lib_sticky.merge.errors import CheckpointError
from lib_sticky.merge.operands import Form, WholeTensor

from .files import LoraFile
from .forms import bias_change, changes_weight, needs_base, weight_change
from .names import Slot, slots_of


class LoraDeltas:
    """The open LoRAs of a recipe by digest, asked for their change of a key."""

    def __init__(self, files: Mapping[str, LoraFile], architecture: str) -> None:
        self._files, self._architecture = files, architecture

    def form(self, digest: str, key: str, shape: tuple[int, ...], base: Form) -> Form:
        """Return the change that a LoRA makes to a key, an empty sum when it makes none; `base` is what it changes."""
        lora = self._files[digest]
        found = [(slot, name) for slot, name in self._named(lora, key) if self._changes(lora, name, key)]
        if not found:
            return Form()
        wanted = (base,) if any(needs_base(lora.module(name)) for _, name in found) else ()
        function = functools.partial(_change, lora, tuple(found), key, shape)
        return Form({WholeTensor(function, wanted, {}, shape): 1.0})

    def _named(self, lora: LoraFile, key: str) -> list[tuple[Slot, str]]:
        slots = slots_of(key, self._architecture)
        return [(slot, name) for slot in slots for name in slot.names if name in lora]

    @staticmethod
    def _changes(lora: LoraFile, name: str, key: str) -> bool:
        module = lora.module(name)
        return any(part in module for part in ("diff_b", "b_norm")) if key.endswith("bias") else changes_weight(module)

    def check(self, keys: list[str]) -> list[str]:
        """Return a note for each LoRA with modules that no key has; raises CheckpointError when none of them fits."""
        known = {name for key in keys for slot in slots_of(key, self._architecture) for name in slot.names}
        notes = []
        for lora in self._files.values():
            names = list(lora.names())
            lost = [name for name in names if name not in known]
            if len(lost) == len(names):
                raise CheckpointError(f"{lora.reader.path} is not for this architecture: none of its modules is in it")
            if lost:
                told = f"{len(lost)} of {len(names)} modules of {lora.reader.path}"
                notes.append(f"note: {told} have no place in this model: {lost[0]} ...")
        return notes


def _change(
    lora: LoraFile, found: tuple[tuple[Slot, str], ...], key: str, shape: tuple[int, ...], *base: torch.Tensor
) -> torch.Tensor:
    total = torch.zeros(shape)
    for slot, name in found:
        rows = shape[0] // slot.parts if shape else 1
        place = slice(slot.part * rows, (slot.part + 1) * rows)
        part = (rows, *shape[1:])
        module = lora.module(name)
        if key.endswith("bias"):
            change = bias_change(module, part)
        else:
            own = base[0].cpu()[place] if base else None
            change = weight_change(module, part, own, f"{lora.reader.path}: {name}")
        if change is not None:
            total[place] += change
    return total
