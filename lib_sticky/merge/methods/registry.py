"""How a merge method describes itself: its signature is its registration, its controls and its documentation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

# What a tensor means: a model's weights, a change to weights, or either (then all inputs and the result agree).
Weight = Annotated[T, "weight"]
Delta = Annotated[T, "delta"]
Either = Annotated[T, "either"]


class Arithmetic(Protocol):
    """What linear methods need: tensors have it, and so has the engine's symbolic form of a sum."""

    def __add__(self: L, other: L, /) -> L: ...
    def __sub__(self: L, other: L, /) -> L: ...
    def __mul__(self: L, factor: float, /) -> L: ...
    def __rmul__(self: L, factor: float, /) -> L: ...
    def __truediv__(self: L, divisor: float, /) -> L: ...


L = TypeVar("L", bound=Arithmetic)


@dataclass(frozen=True)
class Range:
    """The values that a number may take and the step of its slider."""

    low: float
    high: float
    step: float
    help: str


@dataclass(frozen=True)
class Choice:
    """The words that a parameter may be."""

    options: tuple[str, ...]
    help: str


@dataclass(frozen=True)
class GramOf:
    """Names the tensors whose inner products a method sees instead of the tensors; `*name` is any number."""

    names: str
    space: str = "either"


@dataclass(frozen=True)
class Input:
    """One tensor that a method takes, or any number of them."""

    name: str
    space: str
    many: bool


@dataclass(frozen=True)
class Parameter:
    """One setting of a method."""

    name: str
    type: type
    default: bool | int | float | str
    control: Range | Choice | None

    @property
    def label(self) -> str:
        return self.name.replace("_", " ").capitalize()

    def check(self, value: object) -> None:
        """Raise ValueError when `value` is outside what the parameter allows."""
        if self.type is float and type(value) is int:
            value = float(value)
        if type(value) is not self.type:
            raise ValueError(f"{self.name} must be {self.type.__name__}, not {value!r}")
        if isinstance(self.control, Range) and not self.control.low <= value <= self.control.high:  # type: ignore[operator]
            raise ValueError(f"{self.name} must be from {self.control.low} to {self.control.high}, not {value!r}")
        if isinstance(self.control, Choice) and value not in self.control.options:
            raise ValueError(f"{self.name} must be one of {', '.join(self.control.options)}, not {value!r}")


@dataclass(frozen=True)
class MergeMethod:
    """A registered method. `kind` says what `function` sees:

    linear       symbolic sums; it returns one (the engine then reads every file once and rounds once)
    elementwise  flat float32 chunks, the same elements of each input
    tensor       whole float32 tensors
    gram         the float64 matrix of inner products of its inputs; it returns their weights
    deltas       nothing but its parameters; it returns a `Sparsification`, which the engine streams
    model        two mappings from key to tensor; it returns a function of (key, a, b)
    """

    name: str
    label: str
    kind: str
    formula: str
    source: str
    inputs: tuple[Input, ...]
    gives: str
    parameters: tuple[Parameter, ...]
    function: Callable[..., Any]

    @property
    def help(self) -> str:
        return inspect.getdoc(self.function) or ""

    def accepts(self, count: int) -> bool:
        """Say whether the method takes `count` inputs."""
        fixed = sum(not item.many for item in self.inputs)
        return count == fixed or (count > fixed and any(item.many for item in self.inputs))

    def input_at(self, index: int) -> Input:
        return self.inputs[min(index, len(self.inputs) - 1)]

    def __call__(self, *inputs: Any, **parameters: Any) -> Any:
        return self.function(*inputs, **parameters)


def merge_method(*, label: str, kind: str, formula: str, source: str) -> Callable[[Callable[..., Any]], MergeMethod]:
    """Register a function: inputs are its positional arguments, parameters its keyword-only ones."""

    def register(function: Callable[..., Any]) -> MergeMethod:
        hints = get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
        inputs: list[Input] = []
        parameters: list[Parameter] = []
        for item in signature.parameters.values():
            if item.kind is item.KEYWORD_ONLY:
                parameters.append(_parameter(item, hints[item.name]))
            else:
                inputs += _inputs(item, hints[item.name])
        if kind == "deltas":
            inputs = [Input("deltas", "delta", many=True)]
        gives = "delta" if kind == "deltas" else _space(hints["return"], inputs)
        name = function.__name__
        return MergeMethod(name, label, kind, formula, source, tuple(inputs), gives, tuple(parameters), function)

    return register


def _inputs(item: inspect.Parameter, hint: Any) -> list[Input]:
    (mark,) = get_args(hint)[1:]
    if isinstance(mark, GramOf):
        names = mark.names.split()
        return [Input(name.lstrip("*"), mark.space, name.startswith("*")) for name in names]
    return [Input(item.name, str(mark), item.kind is item.VAR_POSITIONAL)]


def _space(hint: Any, inputs: list[Input]) -> str:
    return str(get_args(hint)[1]) if get_origin(hint) is Annotated else inputs[0].space


def _parameter(item: inspect.Parameter, hint: Any) -> Parameter:
    kind, control = (get_args(hint)[0], get_args(hint)[1]) if get_origin(hint) is Annotated else (hint, None)
    return Parameter(item.name, kind, item.default, control)
