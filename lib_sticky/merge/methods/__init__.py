"""Merge methods, one technique a file. Each is a pure function; its signature makes its controls, help and docs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .add_difference import add, add_difference, scale, subtract
from .average import average
from .breadcrumbs import breadcrumbs
from .chained_sums import sum_twice, triple_sum
from .dare import dare, dare_ties
from .della import della
from .geometric_median import geometric_median
from .karcher import karcher
from .model_stock import model_stock, perpendicular
from .registry import Choice, Input, MergeMethod, Parameter, Range
from .slerp import nuslerp, slerp
from .tgmd import dgmla, tgmd
from .ties import ties, ties_soup
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
            slerp,
            nuslerp,
            karcher,
            geometric_median,
            model_stock,
            ties,
            ties_soup,
            dare,
            dare_ties,
            della,
            breadcrumbs,
            tgmd,
            dgmla,
            perpendicular,
            subtract,
            add,
            scale,
        )
    }
)

__all__ = ["METHODS", "Choice", "Input", "MergeMethod", "Parameter", "Range"]
