"""What to merge: a frozen tree of models, LoRAs and methods, in and out of JSON, known by its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .block_weights import BlockWeights
from .errors import RecipeError

SCHEMA = 1
Value = bool | int | float | str | BlockWeights


class Hashed:
    """Equality and hash through a digest made once, so that a deep shared tree costs one step a node."""

    digest: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hashed) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def _seal(self, content: object) -> None:
        raw = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        object.__setattr__(self, "digest", hashlib.sha256(raw).hexdigest())


@dataclass(frozen=True, eq=False)
class Model(Hashed):
    """A checkpoint by name or path; `sha256`, when given, must be that of the file."""

    name: str
    sha256: str | None = None
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._seal(["model", self.name, self.sha256])


@dataclass(frozen=True, eq=False)
class Lora(Hashed):
    """A LoRA or LyCORIS file, read as a change to a checkpoint (a delta)."""

    name: str
    sha256: str | None = None
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self._seal(["lora", self.name, self.sha256])


@dataclass(frozen=True, eq=False)
class Merge(Hashed):
    """A method applied to other nodes."""

    method: str
    inputs: tuple[Node, ...]
    params: Mapping[str, Value] = field(default_factory=dict)
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(self.inputs))
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))
        try:
            params = {name: value_to_json(value) for name, value in self.params.items()}
            self._seal(["merge", self.method, [node.digest for node in self.inputs], params])
        except (TypeError, ValueError, AttributeError) as error:
            raise RecipeError(f"{self.method}: a parameter is not a finite plain value ({error})") from error


Node = Model | Lora | Merge


@dataclass(frozen=True, eq=False)
class Recipe(Hashed):
    """A whole output: the tree, other trees for single components, number formats, and keys to leave out.

    `parts` maps a component (vae, unet, clip_l ...) to the node that makes it. `dtype` maps a component, or "*" for
    the rest, to fp32, fp16, bf16, fp8_e4m3fn or fp8_e5m2; empty keeps the first model's formats. `omit` are regular
    expressions of keys that the output must not have.
    """

    root: Node
    parts: Mapping[str, Node] = field(default_factory=dict)
    dtype: Mapping[str, str] = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        for name in ("parts", "dtype"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        object.__setattr__(self, "omit", tuple(self.omit))
        parts = {name: node.digest for name, node in self.parts.items()}
        self._seal([SCHEMA, self.root.digest, parts, dict(self.dtype), list(self.omit)])

    def nodes(self) -> tuple[Node, ...]:
        """Return every distinct node, inputs before the nodes that use them."""
        return walk((self.root, *self.parts.values()))

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as plain data: a flat list of nodes that name their inputs by number."""
        nodes = self.nodes()
        index = {node.digest: number for number, node in enumerate(nodes)}
        rows = [node_to_json(node, index) for node in nodes]
        document: dict[str, Any] = {"schema": SCHEMA, "nodes": rows, "root": index[self.root.digest]}
        if self.parts:
            document["parts"] = {name: index[node.digest] for name, node in self.parts.items()}
        if self.dtype:
            document["dtype"] = dict(self.dtype)
        if self.omit:
            document["omit"] = list(self.omit)
        return document


def walk(roots: Sequence[Node]) -> tuple[Node, ...]:
    """Return every distinct node under `roots`, inputs first, without recursion."""
    found: dict[str, Node] = {}
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if node.digest in found:
            continue
        if ready or not isinstance(node, Merge):
            found[node.digest] = node
            continue
        stack.append((node, True))
        stack.extend((child, False) for child in reversed(node.inputs))
    return tuple(found.values())


def leaves(node: Node) -> Iterator[Model | Lora]:
    """Yield the distinct files under `node`, left to right."""
    return (found for found in walk((node,)) if not isinstance(found, Merge))


def primary(node: Node) -> Model:
    """Return the model whose keys, formats and untouched tensors the output takes: the leftmost leaf."""
    while isinstance(node, Merge):
        if not node.inputs:
            raise RecipeError(f"{node.method} has no inputs")
        node = node.inputs[0]
    if not isinstance(node, Model):
        raise RecipeError(f"the first input of a merge must be a checkpoint, not the LoRA {node.name}")
    return node


def value_to_json(value: Value) -> object:
    if isinstance(value, BlockWeights):
        return value.to_json()
    if not isinstance(value, (bool, int, float, str)):
        raise TypeError(f"{value!r} is not a plain value")
    return value


def node_to_json(node: Node, index: Mapping[str, int]) -> dict[str, Any]:
    if isinstance(node, Merge):
        row: dict[str, Any] = {"merge": node.method, "inputs": [index[child.digest] for child in node.inputs]}
        if node.params:
            row["params"] = {name: value_to_json(value) for name, value in node.params.items()}
        return row
    row = {"model" if isinstance(node, Model) else "lora": node.name}
    if node.sha256:
        row["sha256"] = node.sha256
    return row
