"""The merge engine: any number of checkpoints at the speed of the disk, with no host.

`merge` goes from a recipe to a file, `planned` says beforehand what it would do, and METHODS describes every method.
"""

from __future__ import annotations

from .compose import compose
from .errors import CheckpointError, MergeCancelled, MergeError, PlanRefused, RecipeError
from .execute import Options, devices
from .methods import METHODS
from .recipe import Lora, Merge, Model, Recipe
from .recipe_json import from_json
from .report import MergeReport
from .run import merge, planned
from .sources import Folders

__all__ = [
    "METHODS",
    "CheckpointError",
    "Folders",
    "Lora",
    "Merge",
    "MergeCancelled",
    "MergeError",
    "MergeReport",
    "Model",
    "Options",
    "PlanRefused",
    "Recipe",
    "RecipeError",
    "compose",
    "devices",
    "from_json",
    "merge",
    "planned",
]
