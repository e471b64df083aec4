"""Reading a recipe from JSON that anybody may have written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .block_weights import BlockWeights
from .errors import RecipeError
from .recipe import SCHEMA, Lora, Merge, Model, Node, Recipe

MAX_NODES = 100_000


def from_json(document: object) -> Recipe:
    """Read what `Recipe.to_json` writes; raises RecipeError that names the field.

    A root or an input may also be written in place, as a node or as the bare name of a model.
    """
    if not isinstance(document, dict):
        raise RecipeError("a recipe is a JSON object")
    known = {"schema", "nodes", "root", "parts", "dtype", "omit"}
    if unknown := document.keys() - known:
        raise RecipeError(f"a recipe has no field {sorted(unknown)[0]!r}; known are {', '.join(sorted(known))}")
    if document.get("schema") != SCHEMA:
        raise RecipeError(f"recipe schema {document.get('schema')!r} is not {SCHEMA}; it was made by another version")
    rows = document.get("nodes", [])
    if not isinstance(rows, list) or len(rows) > MAX_NODES:
        raise RecipeError(f"nodes must be a list of at most {MAX_NODES}")
    nodes: list[Node] = []
    for row in rows:
        nodes.append(_node(row, nodes))
    if "root" not in document:
        raise RecipeError("a recipe needs a root")
    parts, dtype, omit = document.get("parts", {}), document.get("dtype", {}), document.get("omit", [])
    if not isinstance(parts, dict) or not isinstance(dtype, dict) or not isinstance(omit, list):
        raise RecipeError("parts and dtype are objects, omit is a list")
    made = {str(name): _node(row, nodes) for name, row in parts.items()}
    return Recipe(_node(document["root"], nodes), made, dtype, tuple(map(str, omit)))


def _node(row: object, nodes: Sequence[Node], depth: int = 0) -> Node:
    if depth > 100:
        raise RecipeError("nodes are written in place more than 100 deep; use the nodes list")
    if isinstance(row, str):
        return Model(row)
    if type(row) is int:
        if not 0 <= row < len(nodes):
            raise RecipeError(f"node {row} is used before it is defined; there are {len(nodes)} so far")
        return nodes[row]
    if not isinstance(row, dict) or len({"model", "lora", "merge"} & row.keys()) != 1:
        raise RecipeError(f"{row!r:.80} is not a node; a node has exactly one of model, lora, merge")
    if "merge" in row:
        return _merge(row, nodes, depth)
    kind, make = ("model", Model) if "model" in row else ("lora", Lora)
    if unknown := row.keys() - {kind, "sha256"}:
        raise RecipeError(f"a {kind} has no field {sorted(unknown)[0]!r}")
    if not isinstance(row[kind], str) or not isinstance(row.get("sha256"), (str, type(None))):
        raise RecipeError(f"a {kind}'s name and sha256 are text")
    return make(row[kind], row.get("sha256"))


def _merge(row: dict[str, Any], nodes: Sequence[Node], depth: int) -> Merge:
    if unknown := row.keys() - {"merge", "inputs", "params"}:
        raise RecipeError(f"a merge has no field {sorted(unknown)[0]!r}; known are merge, inputs, params")
    inputs, params = row.get("inputs", []), row.get("params", {})
    if not isinstance(row["merge"], str) or not isinstance(inputs, list) or not isinstance(params, dict):
        raise RecipeError(f"{row['merge']!r:.40}: merge is a name, inputs a list, params an object")
    values = {str(k): BlockWeights.from_json(v) if isinstance(v, dict) else v for k, v in params.items()}
    return Merge(row["merge"], tuple(_node(child, nodes, depth + 1) for child in inputs), values)
