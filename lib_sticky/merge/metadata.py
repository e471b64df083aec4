"""What an output says about itself, under the keys that WebUI reads; every value is text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .recipe import Recipe
from .sources import Source

# These describe the bytes of the file they came from, or are pictures of another model.
_NOT_INHERITED = ("modelspec.hash_sha256", "modelspec.thumbnail", "sshs_model_hash", "sshs_legacy_hash", "sd_merge_")
VALUE_LIMIT = 1 << 16


def output_metadata(
    recipe: Recipe, first: Source, sources: Mapping[str, Source], sha256: Mapping[str, str], version: str
) -> dict[str, str]:
    """Return the header metadata of a merge: the first model's, the recipe, and the inputs by sha256.

    `sha256` maps a leaf's digest to its file's hash. `sd_merge_models` has WebUI's form: each input by hash, with the
    recipe that the input itself carries, and the inputs of the inputs once each.
    """
    inherited = {
        key: value
        for key, value in first.reader.header.metadata.items()
        if not key.startswith(_NOT_INHERITED) and len(value) <= VALUE_LIMIT
    }
    models: dict[str, Any] = {}
    for digest, source in sources.items():
        known = source.reader.header.metadata
        models.update(_parsed(known.get("sd_merge_models"), {}))
        if digest in sha256:
            own = _parsed(known.get("sd_merge_recipe"), None)
            models[sha256[digest]] = {"name": source.name, "legacy_hash": None, "sd_merge_recipe": own}
    told = {"type": "sticky", "version": version, "hash": recipe.digest, **recipe.to_json()}
    for row, node in zip(told["nodes"], recipe.nodes(), strict=True):
        if node.digest in sha256 and "merge" not in row:
            row["sha256"] = sha256[node.digest]
    return {
        "format": "pt",
        **inherited,
        "sd_merge_recipe": json.dumps(told, separators=(",", ":")),
        "sd_merge_models": json.dumps(models, separators=(",", ":")),
    }


def _parsed(text: str | None, otherwise: Any) -> Any:
    """Read JSON that another tool wrote; what is not JSON of the expected kind is left out."""
    if text is None or len(text) > VALUE_LIMIT * 16:
        return otherwise
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return otherwise
    return found if isinstance(found, dict) else otherwise
