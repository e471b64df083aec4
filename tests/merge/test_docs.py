"""The methods page says what the code does."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from lib_sticky.merge import METHODS
from lib_sticky.merge.methods.describe import as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "METHODS.md"
ASKED = (
    "weighted_sum average add_difference train_difference smooth_add_difference sum_twice triple_sum slerp nuslerp "
    "karcher tensor_sum cosine_a cosine_b ties dare della model_stock geometric_median tgmd dgmla isotropic rotate "
    "truncate_rank git_rebasin breadcrumbs extract"
)


def test_page_is_made_from_the_registry() -> None:
    text = PAGE.read_text(encoding="utf-8")
    made = text.partition("<!-- methods: generated -->\n")[2].partition("<!-- end of methods -->")[0]
    assert made == as_markdown(METHODS.values())


@pytest.mark.parametrize("name", ASKED.split())
def test_every_method_explains_itself(name: str) -> None:
    method = METHODS[name]
    assert method.label and method.formula and method.source and method.help
    assert method.inputs
    for parameter in method.parameters:
        assert parameter.default is not inspect.Parameter.empty
        parameter.check(parameter.default)
