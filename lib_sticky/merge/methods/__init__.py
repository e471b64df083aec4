"""Merge methods, one technique a file. Each is a pure function; its signature makes its controls, help and docs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .add_difference import add, add_difference, scale, subtract
from .average import average
from .breadcrumbs import breadcrumbs
from .chained_sums import sum_twice, triple_sum
from .cosine import cosine_a, cosine_b
from .dare import dare, dare_ties
from .della import della
from .extract import extract
from .geometric_median import geometric_median
from .git_rebasin import git_rebasin
from .isotropic import isotropic
from .karcher import karcher
from .model_stock import model_stock, perpendicular
from .registry import Choice, Input, MergeMethod, Parameter, Range
from .rotate import rotate
from .slerp import nuslerp, slerp
from .smooth_add import smooth_add_difference
from .tensor_sum import tensor_sum
from .tgmd import dgmla, tgmd
from .ties import ties, ties_soup
from .train_difference import train_difference
from .truncate_rank import truncate_rank
from .weighted_sum import weighted_sum

METHODS: Mapping[str, MergeMethod] = MappingProxyType(
    {
        method.name: method
        for method in (
            weighted_sum,
            average,
            add_difference,
            train_difference,
            smooth_add_difference,
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
            isotropic,
            truncate_rank,
            rotate,
            tensor_sum,
            cosine_a,
            cosine_b,
            extract,
            git_rebasin,
            perpendicular,
            subtract,
            add,
            scale,
        )
    }
)

__all__ = ["METHODS", "Choice", "Input", "MergeMethod", "Parameter", "Range"]
