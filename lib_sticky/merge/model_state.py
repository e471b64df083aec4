"""Methods that must see whole models before the first key: their inputs as mappings that read on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from .errors import RecipeError
from .operands import Scratch, read_whole
from .recipe import Merge, Node, primary

if TYPE_CHECKING:
    from .compile import Compiler


class TensorMap(Mapping[str, torch.Tensor]):
    """The float tensors of a node by canonical key; each look-up reads the files anew, so nothing is held."""

    def __init__(self, compiler: Compiler, node: Node, scratch: Scratch) -> None:
        self._compiler, self._node, self._scratch = compiler, node, scratch
        self._source = compiler.sources[primary(node).digest]

    def __getitem__(self, key: str) -> torch.Tensor:
        entry = self._source.entry(key)
        form = None if entry is None else self._compiler.form(self._node, key, entry.shape, self._scratch)
        if entry is None or form is None:
            raise KeyError(key)
        return read_whole(form, entry.shape, self._scratch)

    def __iter__(self) -> Iterator[str]:
        return self._source.keys()

    def __len__(self) -> int:
        return len(self._source.actual)

    def shape(self, key: str) -> tuple[int, ...] | None:
        entry = self._source.entry(key)
        return None if entry is None else entry.shape


def model_state(compiler: Compiler, node: Merge, function: Callable[..., Any], scratch: Scratch) -> Callable[..., Any]:
    """Return the per-key function that a method of kind `model` makes of its whole inputs."""
    if any(not isinstance(value, (bool, int, float, str)) for value in node.params.values()):
        raise RecipeError(f"{node.method} looks at whole models; its parameters cannot differ by block")
    maps = [TensorMap(compiler, child, scratch) for child in node.inputs]
    return function(*maps, **compiler.params(node, ""))
