"""Where every tensor of the output goes."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .architectures import Architecture
from .dtypes import FLOATS, ITEM_SIZE, USER_DTYPE
from .errors import RecipeError
from .recipe import Node, Recipe, primary
from .sources import Source


@dataclass(frozen=True)
class OutputTensor:
    """One tensor of the output: `key` is canonical, `actual` as written; offsets count from the start of the data."""

    key: str
    actual: str
    root: Node
    dtype: str
    shape: tuple[int, ...]
    start: int
    verbatim: bool

    @property
    def numel(self) -> int:
        return math.prod(self.shape)

    @property
    def stop(self) -> int:
        return self.start + self.numel * ITEM_SIZE[self.dtype]


def make_layout(recipe: Recipe, sources: Mapping[str, Source], architecture: Architecture) -> tuple[OutputTensor, ...]:
    """Return the output's tensors in the order of the file.

    Keys, formats and order are those of the first model (of each part's first model for its component). Wider formats
    come first, so that every tensor starts at a multiple of its item size whatever formats the recipe asks for.
    """
    omitted = [_pattern(text) for text in recipe.omit]
    rows: list[tuple[tuple[int, int, int], OutputTensor]] = []
    spelling = sources[primary(recipe.root).digest].actual
    for order, (component, root) in enumerate(_components(recipe, architecture)):
        source = sources[primary(root).digest]
        for key, actual in source.actual.items():
            own = architecture.component(key)
            wanted = own == component if component else own not in recipe.parts
            if not wanted or any(pattern.search(key) for pattern in omitted):
                continue
            entry = source.reader.header.tensors[actual]
            verbatim = entry.dtype not in FLOATS or architecture.is_verbatim(key)
            dtype = entry.dtype if verbatim else _dtype(recipe, own, entry.dtype)
            tensor = OutputTensor(key, spelling.get(key, key), root, dtype, entry.shape, 0, verbatim)
            rows.append(((-ITEM_SIZE[dtype], order, entry.start), tensor))
    rows.sort(key=lambda row: row[0])
    return tuple(placed(tensor for _, tensor in rows))


def _components(recipe: Recipe, architecture: Architecture) -> Iterator[tuple[str, Node]]:
    """Yield the node that makes each named part, and the root under the empty name."""
    known = {*architecture.components, "other"}
    for component in {*recipe.parts, *recipe.dtype} - {"*"}:
        if component not in known:
            raise RecipeError(f"{architecture.label} has no part {component!r}; known are {', '.join(sorted(known))}")
    yield "", recipe.root
    yield from recipe.parts.items()


def placed(tensors: Iterable[OutputTensor]) -> Iterator[OutputTensor]:
    """Yield the tensors one after the other from the start of the data."""
    at = 0
    for tensor in tensors:
        moved = dataclasses.replace(tensor, start=at)
        at = moved.stop
        yield moved


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise RecipeError(f"omit pattern {text!r} is not a regular expression: {error}") from error


def _dtype(recipe: Recipe, component: str, own: str) -> str:
    chosen = recipe.dtype.get(component, recipe.dtype.get("*"))
    if chosen is None:
        return own
    if chosen not in USER_DTYPE:
        raise RecipeError(f"dtype {chosen!r} of {component!r} is not one of {', '.join(USER_DTYPE)}")
    return USER_DTYPE[chosen]
