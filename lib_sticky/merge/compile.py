"""From a recipe and a key to the sum that the output tensor is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from .architectures import Architecture, reads_more, same_values
from .block_weights import BlockWeights
from .errors import RecipeError
from .layout import OutputTensor
from .methods import METHODS, MergeMethod
from .model_state import model_state
from .operands import Elementwise, Form, Scratch, WholeTensor, WidenedTensor
from .recipe import Lora, Merge, Model, Node, Recipe, primary, walk
from .sources import Source
from .sparse import sparse_form
from .streams import gram_form

# Methods whose sums are known from the headers alone, so that neighbouring keys can be read as one run.
PLANNED_KINDS = frozenset({"linear", "elementwise"})


def check(node: Node) -> None:
    """Raise RecipeError unless every method is known and fed what it takes."""
    spaces: dict[str, str] = {}
    for found in walk((node,)):
        if isinstance(found, Merge):
            spaces[found.digest] = _check_merge(found, [spaces[child.digest] for child in found.inputs])
        else:
            spaces[found.digest] = "weight" if isinstance(found, Model) else "delta"
    if spaces[node.digest] != "weight":
        raise RecipeError("the recipe ends in a change, not a model; add it to a model with the method 'add'")


def method_of(node: Merge) -> MergeMethod:
    if node.method not in METHODS:
        raise RecipeError(f"there is no method {node.method!r}; known are {', '.join(METHODS)}")
    return METHODS[node.method]


def _check_merge(node: Merge, given: list[str]) -> str:
    method = method_of(node)
    if not method.accepts(len(given)):
        wanted = ", ".join(("any number of " if item.many else "") + item.name for item in method.inputs)
        raise RecipeError(f"{method.name} takes {wanted}; the recipe gives {len(given)} inputs")
    space = given[0] if given else "weight"
    for index, found in enumerate(given):
        item = method.input_at(index)
        wanted = space if item.space == "either" else item.space
        if found != wanted:
            raise RecipeError(f"{method.name}: input {index + 1} ({item.name}) must be a {wanted}, not a {found}")
    known = {parameter.name: parameter for parameter in method.parameters}
    for name, value in node.params.items():
        if name not in known:
            raise RecipeError(f"{method.name} has no parameter {name!r}; known are {', '.join(known) or 'none'}")
        _check_value(method, known[name], value)
    return space if method.gives == "either" else method.gives


def _check_value(method: MergeMethod, parameter: Any, value: object) -> None:
    values: list[object] = [value]
    if isinstance(value, BlockWeights):
        values = [value.base, *value.blocks.values(), *(rule.value for rule in value.rules)]
    try:
        for each in values:
            parameter.check(each)
    except ValueError as error:
        raise RecipeError(f"{method.name}: {error}") from error


class Compiler:
    """Turns keys into forms for one recipe over open sources; safe to use from many threads."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        architecture: Architecture,
        lora_delta: Callable[[str, str, tuple[int, ...], Form], Form],
    ) -> None:
        self.sources = sources
        self.architecture = architecture
        self._lora_delta = lora_delta
        self._model_states: dict[str, Callable[..., Any]] = {}

    def prepare(self, recipe: Recipe, scratch: Scratch) -> None:
        """Work out what methods need to know of whole models, before any key."""
        for node in recipe.nodes():
            if isinstance(node, Merge) and method_of(node).kind == "model":
                self._model_states[node.digest] = model_state(self, node, method_of(node).function, scratch)

    def output_form(self, tensor: OutputTensor, scratch: Scratch) -> Form:
        """Return the sum that an output tensor is; the first model's own tensor where it is carried or cannot merge."""
        form = None if tensor.verbatim else self.form(tensor.root, tensor.key, tensor.shape, scratch)
        if form is None:
            form = self._file(primary(tensor.root), tensor.key, tensor.shape) or Form()
        return form

    def form(self, root: Node, key: str, shape: tuple[int, ...], scratch: Scratch) -> Form | None:
        """Return the sum that `root` is for a canonical key, or None when an input lacks it or its shape differs."""
        forms: dict[str, Form | None] = {}
        for node in walk((root,)):
            if isinstance(node, Model):
                forms[node.digest] = self._file(node, key, shape) or self._widened(node, primary(root), key, shape)
            elif isinstance(node, Merge):
                inputs = [self._input(child, node, forms, key, shape) for child in node.inputs]
                known = [form for form in inputs if form is not None]
                whole = len(known) == len(inputs)
                forms[node.digest] = self._merge(node, known, key, shape, scratch).pruned() if whole else None
        return forms[root.digest]

    def _input(
        self, child: Node, parent: Merge, forms: Mapping[str, Form | None], key: str, shape: tuple[int, ...]
    ) -> Form | None:
        """Return an input of a merge; a LoRA is the change that it makes to the merge's first input."""
        if not isinstance(child, Lora):
            return forms[child.digest]
        base = forms.get(parent.inputs[0].digest)
        return None if base is None else self._lora_delta(child.digest, key, shape, base)

    def _file(self, node: Model, key: str, shape: tuple[int, ...]) -> Form | None:
        source = self.sources[node.digest]
        entry, tensor = source.entry(key), source.tensor(key)
        if entry is None or tensor is None or not same_values(entry.shape, shape):
            return None
        return Form({tensor: 1.0})

    def _widened(self, node: Model, first: Model, key: str, shape: tuple[int, ...]) -> Form | None:
        """Return a plain model's input convolution with the channels that only the first model's has."""
        narrow, wide = self.sources[node.digest], self.sources[first.digest]
        entry, own, wider = narrow.entry(key), narrow.tensor(key), wide.tensor(key)
        if entry is None or own is None or wider is None or not reads_more(key, shape, entry.shape):
            return None
        return Form({WidenedTensor(own, wider, entry.shape, shape): 1.0})

    def _merge(self, node: Merge, inputs: list[Form], key: str, shape: tuple[int, ...], scratch: Scratch) -> Form:
        method = method_of(node)
        params = self.params(node, key)
        if method.kind == "linear":
            return method.function(*inputs, **params)
        if method.kind == "elementwise":
            return Form({Elementwise(method.function, tuple(inputs), params): 1.0})
        if method.kind == "gram":
            return gram_form(functools.partial(method.function, **params), inputs, shape, scratch)
        if method.kind == "deltas":
            return sparse_form(method.function(**params), inputs, key, shape, scratch)
        function = method.function
        if method.kind == "model":
            function, params = functools.partial(self._model_states[node.digest], key), {}
        return Form({WholeTensor(function, tuple(inputs), params, shape): 1.0})

    def params(self, node: Merge, key: str) -> dict[str, Any]:
        """Return a method's parameters for one key: the recipe's, the defaults, and block weights looked up."""
        values = {parameter.name: parameter.default for parameter in method_of(node).parameters}
        for name, value in node.params.items():
            values[name] = value.at(key, self.architecture) if isinstance(value, BlockWeights) else value  # type: ignore[assignment]
        return values
