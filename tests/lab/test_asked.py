"""What a comparison inside a WebUI is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from lib_sticky.config import ConfigError
from lib_sticky.lab.asked import Asked, read, scales


def test_nothing_said_is_the_default() -> None:
    assert read({}) == Asked(8, (7.0, 20.0), (), "")


def test_repeats_count_once() -> None:
    found = read({"seeds": 3.0, "cfg": [20, 7, 20.0], "checkpoints": ["a", " a ", "b"]})
    assert found == Asked(3, (20.0, 7.0), ("a", "b"))


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ([], "compare"), ("7", "compare"), ({"seed": 1}, "seed"), ({"seeds": True}, "seeds"), ({"seeds": 1.5}, "seeds"),
        ({"seeds": 1001}, "seeds"), ({"seeds": None}, "seeds"), ({"cfg": "7"}, "cfg"), ({"cfg": []}, "cfg"),
        ({"cfg": [1.0]}, "cfg"), ({"cfg": [61]}, "cfg"), ({"cfg": [float("nan")]}, "cfg"), ({"cfg": [True]}, "cfg"),
        ({"checkpoints": "a"}, "checkpoints"), ({"checkpoints": [""]}, "checkpoints"),
        ({"checkpoints": [None]}, "checkpoints"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named(values: Any, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(values)
    assert caught.value.field == field


def test_scales_are_numbers_between_commas_or_spaces() -> None:
    assert scales("7, 20 30.5,") == [7.0, 20.0, 30.5]
    assert scales("") == []
    with pytest.raises(ConfigError, match="write it as 7, 20"):
        scales("7 to 20")
