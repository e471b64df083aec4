"""One call from a recipe to a file; what the command, the page and the routes share."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from .compile import Compiler, check
from .execute import Options, execute
from .hash_cache import HashCache, hash_files
from .plan import Plan, make_plan
from .recipe import Lora, Merge, Recipe
from .report import MergeReport
from .shards import shard_of
from .sources import Folders, open_sources, resolve_all


@contextlib.contextmanager
def planned(recipe: Recipe, target: Path, folders: Folders, *, keep: bool = False) -> Iterator[tuple[Plan, Compiler]]:
    """Open the recipe's files and plan the merge; the files are closed on leaving.

    Raises RecipeError for missing files and CheckpointError for damaged ones, before any work.
    """
    # The LoRA room reads its files through this one, so it is not there yet when this module is imported.
    from lib_sticky.lora.bake import LoraDeltas
    from lib_sticky.lora.files import LoraFile

    for root in (recipe.root, *recipe.parts.values()):
        check(root)
    leaves = [node for node in recipe.nodes() if not isinstance(node, Merge)]
    paths = resolve_all(leaves, folders)
    sources = open_sources(recipe, paths)
    loras: dict[str, LoraFile] = {}
    try:
        loras.update({node.digest: LoraFile(paths[node.digest]) for node in leaves if isinstance(node, Lora)})
        plan = make_plan(recipe, sources, target, keep=keep)
        deltas = LoraDeltas(loras, plan.architecture.name)
        notes = deltas.check([tensor.key for tensor in plan.tensors])
        yield dataclasses.replace(plan, notes=(*plan.notes, *notes)), Compiler(sources, plan.architecture, deltas.form)
    finally:
        for opened in (*sources.values(), *loras.values()):
            opened.reader.close()


def merge(
    recipe: Recipe,
    target: Path,
    folders: Folders,
    options: Options,
    *,
    keep: bool = False,
    shard: tuple[int, int] = (1, 1),
    hashes: HashCache | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> MergeReport:
    """Merge a recipe into `target`; with `hashes`, the inputs' sha256 go into the metadata and the output's is kept.

    `shard` (i, n) makes only the i-th of n files that `join` puts together. `tell` gets the plan in words before the
    work starts, and what is hashed first.
    """
    with planned(recipe, target, folders, keep=keep) as (plan, compiler):
        mine = shard_of(plan, *shard) if shard != (1, 1) else plan
        tell(mine.describe(options.workers))
        mine.require()
        if hashes is not None:
            paths = {digest: source.reader.path for digest, source in mine.sources.items()}
            found = dict(hash_files(list(paths.values()), hashes, options.workers, tell))
            options = dataclasses.replace(options, sha256={digest: found[path] for digest, path in paths.items()})
        report = execute(mine, compiler, options)
    if hashes is not None and report.sha256:
        hashes.put(Path(report.path), report.sha256)
    return report
