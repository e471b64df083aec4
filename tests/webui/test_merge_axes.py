"""The X/Y/Z axes that merge: what each cell runs with, what is kept, and what is refused."""

from __future__ import annotations

import itertools
from copy import copy
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lib_sticky.config import ConfigError
from lib_sticky.hosts.checkpoints import UNSAVED
from lib_sticky.merge import MergeCancelled
from lib_sticky.webui import merge_axes
from tests.api.shop import Shelf


class AxisOption:
    def __init__(self, label: str, kind: Any, apply: Any, cost: float = 0.0, choices: Any = None) -> None:
        self.label, self.type, self.apply, self.cost, self.choices = label, kind, apply, cost, choices
        self.confirm: Any = None


class FakeJob:
    stopped = False

    def chosen(self, p: Any) -> str:
        return p.override_settings.get("checkpoint", "a.safetensors")

    def use(self, p: Any, path: Path) -> None:
        p.override_settings = {**p.override_settings, "checkpoint": str(path)}

    def interrupted(self) -> bool:
        return self.stopped


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    for name, value in (("a", 1.0), ("b", 3.0), ("c", 5.0)):
        made.add(name, value)
    return made


@pytest.fixture
def job() -> FakeJob:
    return FakeJob()


@pytest.fixture
def axes(shelf: Shelf, job: FakeJob) -> dict[str, AxisOption]:
    module = ModuleType("xyz_grid")
    module.AxisOption, module.axis_options = AxisOption, []  # type: ignore[attr-defined]
    data = SimpleNamespace(path="/webui/scripts/xyz_grid.py", module=module)
    for _ in range(2):  # A reload of the page asks again.
        merge_axes.add_axes([data], shelf, job)
    return {axis.label.removeprefix(merge_axes.PREFIX): axis for axis in module.axis_options}


def grid(axes: dict[str, AxisOption], **values: list[Any]) -> list[SimpleNamespace]:
    """The cells that the host would run, the first axis outermost: shallow copies of one p."""
    p = SimpleNamespace(override_settings={}, extra_generation_params={})
    for name, listed in values.items():
        axes[name].confirm(p, listed)
    cells = []
    for chosen in itertools.product(*values.values()):
        cells.append(copy(p))
        for name, value in zip(values, chosen, strict=True):
            axes[name].apply(cells[-1], value, [])
    assert p.override_settings == {} == p.extra_generation_params
    return cells


def numbers(cell: SimpleNamespace) -> float:
    tensors = load_file(cell.override_settings["checkpoint"])
    (value,) = {float(number) for tensor in tensors.values() for number in torch.unique(tensor)}
    return value


@pytest.mark.parametrize("names", [("With", "Alpha"), ("Alpha", "With")])
def test_each_cell_runs_with_its_own_merge(axes: dict[str, AxisOption], names: tuple[str, str]) -> None:
    values: dict[str, list[Any]] = {"With": ["b"], "Alpha": [0.25, 0.75]}
    cells = grid(axes, **{name: values[name] for name in names})
    assert [numbers(cell) for cell in cells] == [1.5, 2.5]
    assert cells[0].extra_generation_params == {"Sticky merge": "a.safetensors with b, alpha 0.25"}


def test_without_an_alpha_axis_half_is_taken(axes: dict[str, AxisOption]) -> None:
    assert [numbers(cell) for cell in grid(axes, With=["b", "c"])] == [2.0, 3.0]


def test_the_host_s_list_and_folder_keep_two_merges_at_most(axes: dict[str, AxisOption], shelf: Shelf) -> None:
    grid(axes, With=["b"], Alpha=[0.1, 0.2, 0.3, 0.4])
    kept = list((shelf.folder() / UNSAVED).rglob("*.safetensors"))
    assert len(kept) == 2
    assert shelf.models() == ["a.safetensors", "b.safetensors", "c.safetensors"]


def test_a_merge_that_is_there_is_not_made_again_until_an_input_changes(
    axes: dict[str, AxisOption], shelf: Shelf
) -> None:
    first, second = (grid(axes, With=["b"])[0].override_settings["checkpoint"] for _ in range(2))
    assert first == second
    made = Path(first).stat().st_mtime_ns
    shelf.add("b", 7.0)
    (cell,) = grid(axes, With=["b"])
    assert numbers(cell) == 4.0
    assert Path(first).stat().st_mtime_ns == made


def test_what_cannot_be_done_stops_the_grid_in_words(axes: dict[str, AxisOption], job: FakeJob) -> None:
    with pytest.raises(ConfigError, match=r"Alpha: choose the other checkpoint on a second axis"):
        grid(axes, Alpha=[0.5])
    with pytest.raises(ConfigError, match="no checkpoint 'nobody'"):
        grid(axes, With=["nobody"])
    job.stopped = True
    with pytest.raises(MergeCancelled):
        grid(axes, With=["c"])
