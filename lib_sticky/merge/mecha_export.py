"""Writing a recipe as sd-mecha 0.1.0 text, for the methods that mean the same there."""

from __future__ import annotations

from collections.abc import Mapping

from .block_weights import BlockWeights
from .compile import method_of
from .errors import RecipeError
from .mecha import VERSION
from .recipe import Lora, Merge, Model, Node, Recipe, Value

# Our name -> theirs, for methods whose inputs and numbers need no translation.
_SAME = {
    "weighted_sum": "weighted_sum",
    "average": "n_average",
    "slerp": "slerp",
    "add": "add_difference",
    "subtract": "subtract",
    "scale": "scale",
    "perpendicular": "perpendicular_component",
    "geometric_median": "geometric_median",
}
_CONFIG = {"sd1": "sd1-ldm", "sdxl": "sdxl-sgm", "sd3": "sd3-comfyui", "flux": "flux_dev-flux"}


def write_mecha(recipe: Recipe, architecture: str) -> str:
    """Return `.mecha` text of version 0.1.0; raises RecipeError for what it cannot say.

    `architecture` is the name of the models' layout; the text names sd-mecha's config for it.
    """
    if recipe.parts or recipe.omit:
        raise RecipeError("a .mecha recipe cannot take a part (VAE ...) from another recipe or leave keys out")
    if architecture not in _CONFIG:
        raise RecipeError(f"sd-mecha has no model config for {architecture}; it has {', '.join(_CONFIG)}")
    lines = [f"version {VERSION}"]
    numbers: dict[str, int] = {}
    for node in recipe.nodes():
        lines += _lines(node, numbers, architecture, len(lines) - 1)
        numbers[node.digest] = len(lines) - 2
    return "\n".join(lines) + "\n"


def _lines(node: Node, numbers: Mapping[str, int], architecture: str, following: int) -> list[str]:
    config = _CONFIG[architecture]
    if isinstance(node, Model):
        return [f'model {_quoted(node.name)} model_config="{config}" merge_space="weight"']
    if isinstance(node, Lora):
        return [f'model {_quoted(node.name)} model_config="{architecture}-kohya" merge_space="weight"']
    name, params = _translated(node)
    made: list[str] = []
    words = [f"&{numbers[child.digest]}" for child in node.inputs]
    for key, value in params.items():
        told = str(value).lower() if isinstance(value, bool) else str(value)
        if isinstance(value, BlockWeights):
            made += _blocks(value, architecture, following + len(made))
            told = f"&{following + len(made) - 1}"
        words.append(f"{key}={told}")
    return [*made, " ".join([f'merge "{name}"', *words])]


def _translated(node: Merge) -> tuple[str, Mapping[str, Value]]:
    if node.method in _SAME:
        return _SAME[node.method], node.params
    values = {parameter.name: parameter.default for parameter in method_of(node).parameters} | dict(node.params)
    if node.method in ("ties", "ties_soup"):
        return "ties_sum", {"k": values.get("density", 1.0), "vote_sgn": values.get("vote", "count") == "mass"}
    if node.method in ("della", "dgmla") and values["rescale"] in (0.0, 1.0):
        return "ties_sum_with_dropout", {
            "probability": values["probability"],
            "della_eps": values["epsilon"],
            "rescale": values["rescale"] == 1.0,
            "k": values["density"],
            "vote_sgn": values["vote"] == "mass",
            "apply_stock": True,
            "apply_median": node.method == "dgmla",
            "seed": values["seed"],
        }
    raise RecipeError(f"sd-mecha has no method that means the same as {node.method}")


def _blocks(value: BlockWeights, architecture: str, at: int) -> list[str]:
    if value.rules or architecture not in ("sd1", "sdxl"):
        raise RecipeError("a .mecha recipe can say block weights of SD1 and SDXL, but no rules")
    side = 12 if architecture == "sd1" else 9
    names = ["BASE", *(f"IN{i:02}" for i in range(side)), "M00", *(f"OUT{i:02}" for i in range(side))]
    if architecture == "sdxl":
        names.append("VAE")
    told = " ".join(f"{name}={value.blocks.get(name, value.base)}" for name in names)
    return [f"dict {told}", f'literal &{at} model_config="{architecture}-supermerger_blocks" merge_space="param"']


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
