"""The registry as a page: what docs/METHODS.md says of each method."""

from __future__ import annotations

from collections.abc import Iterable

from .registry import Choice, MergeMethod, Parameter, Range


def as_markdown(methods: Iterable[MergeMethod]) -> str:
    """Return one section for each method: formula, inputs, settings with ranges, source."""
    return "\n".join(_section(method) for method in methods)


def _section(method: MergeMethod) -> str:
    inputs = ", ".join(f"{item.name}{' ...' if item.many else ''}" for item in method.inputs)
    kind = {"weight": "models", "delta": "changes (name a base)"}.get(method.inputs[0].space, "models, or changes")
    rows = [
        f"### {method.label} (`{method.name}`)",
        "",
        f"{method.help}",
        "",
        f"- formula: {method.formula}",
        f"- inputs: {inputs}; {kind}",
        *(f"- `{parameter.name}` = {parameter.default}{_range(parameter)}" for parameter in method.parameters),
        f"- source: {method.source}",
        "",
    ]
    return "\n".join(rows)


def _range(parameter: Parameter) -> str:
    if isinstance(parameter.control, Range):
        return f", from {parameter.control.low:g} to {parameter.control.high:g}: {parameter.control.help}"
    if isinstance(parameter.control, Choice):
        return f", one of {', '.join(parameter.control.options)}: {parameter.control.help}"
    return ""
