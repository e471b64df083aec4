"""Pasting an infotext into the panel, and the X/Y/Z axes."""

from __future__ import annotations

import re
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lib_sticky.config import DEFAULTS, SWITCHES, Config, ConfigError
from lib_sticky.hosts.job import OVERRIDES
from lib_sticky.infotext import KEY, dump
from lib_sticky.webui import xyz
from lib_sticky.webui.panel import Panel, fields_of
from lib_sticky.webui.paste import paste_fields
from tests.unit.test_peer_infotext import ARTICLE_1


def pasted(params: dict[str, Any]) -> dict[str, Any]:
    return {name: read(params) for name, read in paste_fields(Panel({name: name for name in DEFAULTS}))}


def test_a_pasted_infotext_restores_every_field() -> None:
    config = Config(True, 'a "b", c', "own chunk", 0.1, 0.9, "off", untitled=True, pag=1.5, seg="in the negative")
    assert pasted({KEY: dump(config)}) == {name: getattr(config, name) for name in DEFAULTS}


@pytest.mark.parametrize("params", [{}, {KEY: "{"}, {KEY: '{"v":1,"start":9}'}])
def test_without_a_readable_key_the_box_goes_off_and_the_rest_stays(params: dict[str, Any]) -> None:
    found = pasted(params)
    assert {name: found.pop(name) for name in SWITCHES} == {name: DEFAULTS[name] for name in SWITCHES}
    assert set(found.values()) == {None}


def test_positions_are_the_fields_in_order() -> None:
    values = [True, "bad", "same chunk", 0, 1, "same", *list(DEFAULTS.values())[6:]]
    assert fields_of(values)["terms"] == "bad"
    with pytest.raises(ValueError, match="zip"):
        fields_of([True])


class AxisOption:
    def __init__(self, label: str, type: Any, apply: Any, choices: Any = None) -> None:  # noqa: A002
        self.label, self.type, self.apply, self.choices = label, type, apply, choices


def grid(path: str = "/webui/scripts/xyz_grid.py") -> SimpleNamespace:
    module = ModuleType("xyz_grid")
    module.AxisOption, module.axis_options = AxisOption, []  # type: ignore[attr-defined]
    return SimpleNamespace(path=path, module=module)


def test_one_axis_a_field_also_after_a_reload() -> None:
    data = grid()
    xyz.add_axes([SimpleNamespace(path="other.py", module=None), data])
    xyz.add_axes([data])
    assert len(data.module.axis_options) == len(DEFAULTS)


def test_a_host_without_the_plot_is_left_alone() -> None:
    xyz.add_axes([grid("other.py")])


def test_an_axis_leaves_its_value_on_its_own_cell() -> None:
    data = grid()
    xyz.add_axes([data])
    axes = {axis.label: axis for axis in data.module.axis_options}
    base = SimpleNamespace()
    cell = SimpleNamespace()
    axes["[Sticky] Terms start"].apply(cell, axes["[Sticky] Terms start"].type("0.2"), [])
    first = getattr(cell, OVERRIDES)
    axes["[Sticky] Sticky negatives"].apply(cell, axes["[Sticky] Sticky negatives"].type("True"), [])
    assert getattr(cell, OVERRIDES) == {"start": 0.2, "enabled": True}
    assert first == {"start": 0.2}
    assert not hasattr(base, OVERRIDES)
    with pytest.raises(ConfigError, match="enabled"):
        axes["[Sticky] Sticky negatives"].type("maybe")


def test_what_differs_in_a_pasted_infotext_is_said_in_a_box_and_otherwise_there_is_none() -> None:
    read = paste_fields(Panel({}, pasted="here"))[-1][1]
    assert re.fullmatch(r"<div class='sticky-preview'>(<div class='sticky-count'>[^<]+</div>)+</div>", read(ARTICLE_1))
    assert read({}) == ""
