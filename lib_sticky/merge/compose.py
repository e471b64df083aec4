"""Recipes for what users ask in one line: a method over some models, LoRAs baked in, another VAE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .errors import RecipeError
from .methods import METHODS
from .recipe import Lora, Merge, Model, Node, Recipe, Value


def compose(
    method: str,
    models: Sequence[str],
    params: Mapping[str, Value],
    *,
    base: str | None = None,
    strength: float = 1.0,
    loras: Sequence[tuple[str, float]] = (),
    vae: str | None = None,
    dtype: Mapping[str, str] | None = None,
    omit: Sequence[str] = (),
) -> Recipe:
    """Return the recipe of a method over `models`.

    A method that works on changes (TIES and its family) needs `base`: every model is taken as its change from the
    base, and the merged change is added to the base `strength` times. Other methods take a base too when they accept
    changes: then they merge the changes instead of the weights.
    """
    if method not in METHODS:
        raise RecipeError(f"there is no method {method!r}; known are {', '.join(METHODS)}")
    root: Node
    if base is not None:
        start = Model(base)
        changes = tuple(Merge("subtract", (Model(name), start)) for name in models)
        root = Merge("add", (start, Merge(method, changes, params)), {"alpha": strength})
    elif METHODS[method].inputs[0].space == "delta":
        raise RecipeError(f"{method} works on changes; name the model that they start from (--base)")
    else:
        root = Merge(method, tuple(Model(name) for name in models), params)
    for name, alpha in loras:
        root = Merge("add", (root, Lora(name)), {"alpha": alpha})
    parts = {} if vae is None else {"vae": Model(vae)}
    return Recipe(root, parts, dtype or {}, tuple(omit))
