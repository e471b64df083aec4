"""The queue itself: failures stay with their job, unsaved merges, and what is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from lib_sticky.api import merge_unsaved
from lib_sticky.api.job_queue import REMEMBERED
from lib_sticky.api.merge_history import history
from lib_sticky.api.merge_jobs import Jobs
from lib_sticky.api.merge_orders import Order
from lib_sticky.config import ConfigError
from lib_sticky.hosts.checkpoints import UNSAVED
from lib_sticky.merge import Recipe, from_json
from tests.api.shop import Shelf, half, waited


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    made.add("a", 1.0)
    made.add("b", 3.0)
    return made


def unsaved(recipe: Recipe, shelf: Shelf) -> Order:
    return Order(recipe, merge_unsaved.target_of("try", recipe, shelf), overwrite=True, unsaved=True)


def test_a_failing_job_says_why_and_the_next_one_runs(shelf: Shelf) -> None:
    def run(recipe, target, *more, **named):
        if target.name == "bad.safetensors":
            raise ZeroDivisionError("the disk is on fire")
        from lib_sticky.merge import merge

        return merge(recipe, target, *more, **named)

    jobs, recipe = Jobs(shelf, run), from_json(half())
    bad, good = (jobs.submit(Order(recipe, shelf.folder() / f"{name}.safetensors")) for name in ("bad", "good"))
    assert waited(jobs, bad).message == "ZeroDivisionError: the disk is on fire"
    assert waited(jobs, good).state == "done"
    jobs.close()


def test_only_so_many_finished_jobs_are_remembered(shelf: Shelf) -> None:
    def run(*_given, **_named):
        raise ZeroDivisionError

    jobs, recipe = Jobs(shelf, run), from_json(half())
    made = [jobs.submit(Order(recipe, shelf.folder() / f"{n}.safetensors")) for n in range(REMEMBERED)]
    waited(jobs, made[-1])
    last = jobs.submit(Order(recipe, shelf.folder() / "last.safetensors"))
    waited(jobs, last)
    assert len(jobs.states()) == REMEMBERED
    assert jobs.state(made[0]) is None
    jobs.close()


def test_a_merge_is_loaded_unsaved_then_saved_as_the_very_file(shelf: Shelf) -> None:
    jobs, recipe = Jobs(shelf), from_json(half())
    job = jobs.submit(unsaved(recipe, shelf))
    assert waited(jobs, job).message == "loaded; not saved"
    (tried,) = shelf.loaded
    assert tried.parent == shelf.folder() / UNSAVED
    assert shelf.models() == ["a.safetensors", "b.safetensors"]
    content = tried.read_bytes()
    saved = merge_unsaved.save("kept", shelf)
    assert saved == shelf.folder() / "kept.safetensors"
    assert saved.read_bytes() == content
    assert shelf.loaded == [tried, saved]
    assert not tried.exists()
    assert shelf.hashes().get(saved) == jobs.states()[0].sha256
    with pytest.raises(ConfigError, match="no merge is loaded"):
        merge_unsaved.save("again", shelf)
    jobs.close()


def test_the_next_unsaved_merge_replaces_the_last(shelf: Shelf) -> None:
    jobs = Jobs(shelf)
    for alpha in (0.25, 0.75):
        waited(jobs, jobs.submit(unsaved(from_json(half(alpha=alpha)), shelf)))
    (left,) = (shelf.folder() / UNSAVED).glob("*.safetensors")
    assert all((value == 2.5).all() for value in load_file(left).values())
    merge_unsaved.clear(shelf)
    assert merge_unsaved.current(shelf) is None
    jobs.close()


def test_an_unsaved_merge_that_cannot_be_loaded_is_removed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, loads=False)
    shelf.add("a", 1.0)
    shelf.add("b", 3.0)
    jobs = Jobs(shelf)
    state = waited(jobs, jobs.submit(unsaved(from_json(half()), shelf)))
    assert (state.state, "no WebUI" in state.message) == ("failed", True)
    assert merge_unsaved.current(shelf) is None
    jobs.close()


def test_saving_never_replaces_a_file(shelf: Shelf) -> None:
    jobs = Jobs(shelf)
    waited(jobs, jobs.submit(unsaved(from_json(half()), shelf)))
    with pytest.raises(ConfigError, match=r"a\.safetensors exists"):
        merge_unsaved.save("a", shelf)
    assert merge_unsaved.current(shelf) is not None
    jobs.close()


def test_the_first_models_layout_file_goes_with_the_merge(shelf: Shelf) -> None:
    (shelf.folder() / "a.yaml").write_text("model: tiny")
    jobs = Jobs(shelf)
    waited(jobs, jobs.submit(Order(from_json(half()), shelf.folder() / "out.safetensors")))
    assert (shelf.folder() / "out.yaml").read_text() == "model: tiny"
    jobs.close()


def test_history_is_read_back_from_the_files(shelf: Shelf) -> None:
    recipe = from_json(half(alpha=0.25))
    jobs = Jobs(shelf)
    waited(jobs, jobs.submit(Order(recipe, shelf.folder() / "quarter.safetensors")))
    shelf.add("foreign", 1.0, sd_merge_recipe='{"type": "webui"}')
    shelf.add("broken", 1.0, sd_merge_recipe='{"type": "sticky", "root"')
    (shelf.folder() / "damaged.safetensors").write_bytes(b"nothing")
    (found,) = history(shelf)
    assert found.name == "quarter.safetensors"
    assert [node.name for node in found.recipe.nodes()[:2]] == ["a", "b"]  # type: ignore[union-attr]
    assert found.recipe.root.params == {"alpha": 0.25}  # type: ignore[union-attr]
    jobs.close()
