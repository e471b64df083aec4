"""What a merge will do, known from headers alone: layout, differences, and the room and time it needs."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from .architectures import Architecture
from .compile import PLANNED_KINDS, method_of
from .differences import SHOWN, Difference, architecture_conflicts, find_differences, marker_conflicts, notes, problems
from .errors import PlanRefused
from .layout import OutputTensor, make_layout
from .recipe import Lora, Merge, Model, Recipe, primary
from .sources import Source, is_regular_or_absent, same_file

# Of the two-core machine in docs/MERGE.md; the estimate is for orientation only.
BYTES_PER_SECOND = 1.5e9
ELEMENTS_PER_SECOND = {"elementwise": 2e8, "gram": 2e8, "deltas": 5e7, "tensor": 5e6, "model": 5e6}
PLAIN_BUFFERS, ROW_BUFFERS = 6 << 20, 5 << 24


@dataclass(frozen=True)
class Plan:
    """All that is decided before any work.

    `problems` stop the merge unless `keep` says to take the first model's tensors where others do not fit;
    `refusals` always stop it. `streamed` is true when every sum is known from the headers.
    """

    recipe: Recipe
    target: Path
    architecture: Architecture
    sources: Mapping[str, Source]
    tensors: tuple[OutputTensor, ...]
    keep: bool
    differences: tuple[Difference, ...]
    problems: tuple[str, ...]
    refusals: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(method_of(node).kind for node in self.recipe.nodes() if isinstance(node, Merge))

    @property
    def streamed(self) -> bool:
        return self.kinds <= PLANNED_KINDS and not any(isinstance(node, Lora) for node in self.recipe.nodes())

    @property
    def data_bytes(self) -> int:
        return max((tensor.stop for tensor in self.tensors), default=0)

    @property
    def read_bytes(self) -> int:
        return sum(source.reader.size for source in self.sources.values())

    def seconds(self) -> float:
        """Return a rough time: reading and writing at the speed of a fast disk, and the arithmetic of slow methods."""
        elements = sum(tensor.numel for tensor in self.tensors)
        merges = [node for node in self.recipe.nodes() if isinstance(node, Merge)]
        costs = [len(node.inputs) / ELEMENTS_PER_SECOND.get(method_of(node).kind, float("inf")) for node in merges]
        return (self.read_bytes + self.data_bytes) / BYTES_PER_SECOND + elements * sum(costs)

    def memory_bytes(self, workers: int) -> int:
        """Return about how much the buffers of the workers take, above what Python and torch need themselves."""
        largest = max((tensor.numel for tensor in self.tensors), default=0)
        whole = 5 * 4 * largest if self.kinds & {"tensor", "model"} else 0
        return workers * (PLAIN_BUFFERS + (0 if self.streamed else ROW_BUFFERS) + whole)

    def require(self) -> None:
        """Raise PlanRefused with every reason not to start."""
        reasons = list(self.refusals)
        if self.problems and not self.keep:
            reasons += [*self.problems, "choose 'keep' (--keep) to carry the first model's tensors where others differ"]
        if reasons:
            raise PlanRefused("\n".join(reasons))

    def describe(self, workers: int) -> str:
        """Return the plan in words."""
        counts = Counter((item.model, item.what) for item in self.differences)
        shown = self.differences[:SHOWN]
        lines = [
            f"{self.architecture.label}: {len(self.tensors)} tensors, {self.data_bytes / 1e9:.2f} GB to {self.target}",
            f"reads {self.read_bytes / 1e9:.2f} GB in {len(self.sources)} files{_free_words(self.target)}",
            f"about {self.memory_bytes(workers) / 1e6:.0f} MB of buffers and {self.seconds():.0f} s",
            *(f"{model}: {number} keys, {what}" for (model, what), number in counts.items()),
            *(f"  {item.what}: {item.key} {item.detail} ({item.model})" for item in shown),
        ]
        if len(self.differences) > SHOWN:
            lines.append(f"  and {len(self.differences) - SHOWN} more")
        return "\n".join([*lines, *self.notes, *(f"problem: {text}" for text in (*self.refusals, *self.problems))])


def make_plan(recipe: Recipe, sources: Mapping[str, Source], target: Path, *, keep: bool = False) -> Plan:
    """Decide the whole output from a checked recipe and the headers of its open files; nothing is written."""
    models = {node.digest: sources[node.digest] for node in recipe.nodes() if isinstance(node, Model)}
    first = models[primary(recipe.root).digest]
    architecture = first.architecture
    tensors = make_layout(recipe, models, architecture)
    differences = tuple(find_differences(recipe, models, tensors, architecture))
    main = {node.digest: models[node.digest] for node in Recipe(recipe.root).nodes() if isinstance(node, Model)}
    return Plan(
        recipe,
        target,
        architecture,
        MappingProxyType(dict(sources)),
        tensors,
        keep,
        differences,
        problems=(*problems(differences), *marker_conflicts(recipe.root, models, architecture)),
        refusals=(*architecture_conflicts(main, first), *_target_problems(sources, target, tensors)),
        notes=tuple(notes(tensors, architecture)),
    )


def _free_words(target: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return f"; {shutil.disk_usage(target.absolute().parent).free / 1e9:.1f} GB free on the disk"
    return ""


def _target_problems(sources: Mapping[str, Source], target: Path, tensors: tuple[OutputTensor, ...]) -> Iterator[str]:
    if not tensors:
        yield "no tensor is left to write; look at the recipe's omit patterns"
    for source in sources.values():
        if same_file(source.reader.path, target):
            yield f"{target} is also an input; choose another name for the output"
    if not target.absolute().parent.is_dir():
        yield f"there is no folder {target.absolute().parent}; make it first"
    elif not is_regular_or_absent(target):
        yield f"{target} exists and is not a plain file"
    if target.suffix != ".safetensors":
        yield f"{target.name} must end in .safetensors"
