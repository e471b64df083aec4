"""Where inputs do not fit the model that gives the output its keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .architectures import Architecture, reads_more, same_values
from .layout import OutputTensor
from .recipe import Model, Node, Recipe, leaves, primary
from .sources import Source

SHOWN = 12


@dataclass(frozen=True)
class Difference:
    """A key in which `model` does not match; `what` is missing, extra, shape, channels or dtype, `detail` says how."""

    model: str
    key: str
    what: str
    detail: str = ""


def find_differences(
    recipe: Recipe, sources: Mapping[str, Source], tensors: Sequence[OutputTensor], architecture: Architecture
) -> Iterator[Difference]:
    """Yield every key in which an input differs from the output's layout, tensors carried verbatim aside."""
    for root in (recipe.root, *recipe.parts.values()):
        wanted = {tensor.key: tensor for tensor in tensors if tensor.root == root and not tensor.verbatim}
        first = primary(root)
        for leaf in leaves(root):
            if isinstance(leaf, Model) and leaf != first:
                yield from _against(sources[leaf.digest], wanted, sources[first.digest], architecture)


def _against(
    source: Source, wanted: Mapping[str, OutputTensor], first: Source, architecture: Architecture
) -> Iterator[Difference]:
    for key in wanted:
        mine, theirs = first.entry(key), source.entry(key)
        if mine is None or theirs is None:
            yield Difference(source.name, key, "missing")
        elif reads_more(key, mine.shape, theirs.shape):
            yield Difference(source.name, key, "channels", f"{theirs.shape[1]} of {mine.shape[1]} are merged")
        elif reads_more(key, theirs.shape, mine.shape):
            yield Difference(source.name, key, "wider", f"{theirs.shape[1]} channels against {mine.shape[1]}")
        elif not same_values(mine.shape, theirs.shape):
            yield Difference(source.name, key, "shape", f"{list(theirs.shape)} against {list(mine.shape)}")
        elif mine.dtype != theirs.dtype:
            yield Difference(source.name, key, "dtype", f"{theirs.dtype} against {mine.dtype}")
    for key in source.actual:
        if first.entry(key) is None and not architecture.is_verbatim(key):
            yield Difference(source.name, key, "extra")


def problems(differences: Iterable[Difference]) -> Iterator[str]:
    """Yield one sentence for each kind of mismatch that would leave tensors unmerged."""
    counts = Counter((found.model, found.what) for found in differences if found.what not in ("dtype", "channels"))
    words = {
        "missing": "it lacks",
        "shape": "it has in another shape",
        "wider": "it has with more channels: it is an inpainting or pix2pix model, name it first",
        "extra": "only it has, which would be dropped",
    }
    for (model, what), number in counts.items():
        yield f"{model}: {number} keys that {words[what]}"


def marker_conflicts(root: Node, sources: Mapping[str, Source], architecture: Architecture) -> Iterator[str]:
    """Yield a sentence for each marker key (v_pred, ztsnr ...) that some models have and some have not."""
    models = [sources[leaf.digest] for leaf in leaves(root) if isinstance(leaf, Model)]
    for marker in architecture.markers:
        having = [source.name for source in models if source.entry(marker) is not None]
        if having and len(having) < len(models):
            lacking = [source.name for source in models if source.entry(marker) is None]
            yield f"the marker {marker} is in {_few(having)} but not in {_few(lacking)}: they predict different things"


def architecture_conflicts(sources: Mapping[str, Source], first: Source) -> Iterator[str]:
    """Yield a sentence for each model of another architecture; such merges are never done."""
    for source in sources.values():
        if source.architecture.name != first.architecture.name:
            yield f"{source.name} is {source.architecture.label} but {first.name} is {first.architecture.label}"


def notes(tensors: Sequence[OutputTensor], architecture: Architecture) -> Iterator[str]:
    """Yield what a user should know of an output that is otherwise fine."""
    have = {tensor.key for tensor in tensors}
    absent = Counter(architecture.component(key) for key in architecture.keys if key not in have)
    whole = Counter(map(architecture.component, architecture.keys))
    for component, number in absent.items():
        share = "has no" if number == whole[component] else f"lacks {number} of {whole[component]} tensors of its"
        yield f"note: the output {share} {component}"
    if ema := sum(tensor.key.startswith("model_ema.") for tensor in tensors):
        yield f"note: {ema} EMA tensors are the first model's; leave them out with omit '^model_ema'"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
