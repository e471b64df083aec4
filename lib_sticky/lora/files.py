"""LoRA files: read by module, written with the metadata that trainers and WebUIs read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from lib_sticky.merge.checkpoint_io import CheckpointReader
from lib_sticky.merge.dtypes import TORCH_DTYPE
from lib_sticky.merge.errors import CheckpointError, MergeError
from lib_sticky.merge.output_file import OutputFile, encode_header

CODES = {dtype: code for code, dtype in TORCH_DTYPE.items()}


class LoraFile:
    """An open LoRA; modules are read when asked for."""

    def __init__(self, path: Path) -> None:
        self.reader = CheckpointReader(path)
        self._modules: dict[str, list[str]] = {}
        for key in self.reader.header.tensors:
            name, dot, _ = key.partition(".")
            if not dot or not name.startswith(("lora_", "lycoris_")):
                raise CheckpointError(f"{path}: {key!r} is not a kohya or LyCORIS name; convert the file first")
            self._modules.setdefault(name, []).append(key)

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.reader.header.metadata

    def names(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def module(self, name: str) -> dict[str, torch.Tensor]:
        """Return a module's tensors by the rest of their keys (`lora_up.weight`, `alpha` ...)."""
        return {key.partition(".")[2]: self._tensor(key) for key in self._modules[name]}

    def _tensor(self, key: str) -> torch.Tensor:
        entry = self.reader.header.tensors[key]
        tensor = torch.empty(entry.shape, dtype=TORCH_DTYPE[entry.dtype])
        if tensor.numel():
            view = memoryview(tensor.view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
            self.reader.read_into(entry.start, view)
        return tensor

    def close(self) -> None:
        self.reader.close()


def write_lora(
    target: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str], *, overwrite: bool = False
) -> None:
    """Write a LoRA under its name only when it is whole."""
    if target.exists() and not overwrite:
        raise MergeError(f"{target} exists; choose another name or allow it to be replaced (--overwrite)")
    rows: dict[str, tuple[str, tuple[int, ...], int, int]] = {}
    at = 0
    for key, tensor in tensors.items():
        size = math.prod(tensor.shape) * tensor.dtype.itemsize
        rows[key] = (CODES[tensor.dtype], tuple(tensor.shape), at, at + size)
        at += size
    header = encode_header(rows, dict(metadata))
    output = OutputFile(target, len(header) + at)
    try:
        output.write(0, memoryview(header))
        for key, tensor in tensors.items():
            flat = tensor.contiguous().view(-1).view(torch.uint8)
            output.write(len(header) + rows[key][2], memoryview(flat.numpy()))  # type: ignore[arg-type]
        output.commit()
    except BaseException:
        output.discard()
        raise
