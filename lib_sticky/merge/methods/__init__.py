"""Merge methods, one technique a file. Each is a pure function; its signature makes its controls, help and docs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .add_difference import add, add_difference, scale, subtract
from .average import average
from .chained_sums import sum_twice, triple_sum
from .registry import Choice, Input, MergeMethod, Parameter, Range
from .weighted_sum import weighted_sum

METHODS: Mapping[str, MergeMethod] = MappingProxyType(
    {
        method.name: method
        for method in (
            weighted_sum,
            average,
            add_difference,
            sum_twice,
            triple_sum,
            subtract,
            add,
            scale,
        )
    }
)

__all__ = ["METHODS", "Choice", "Input", "MergeMethod", "Parameter", "Range"]
