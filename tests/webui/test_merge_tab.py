"""The merge tab: built from the registry, and from its values to the engine's order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from lib_sticky.api.merge_history import history
from lib_sticky.api.merge_jobs import Jobs, State
from lib_sticky.api.merge_orders import facts_of
from lib_sticky.config import ConfigError
from lib_sticky.merge import METHODS, Merge, Model, compose
from lib_sticky.merge.block_weights import BlockWeights
from lib_sticky.webui import merge_tab
from lib_sticky.webui.merge_form import offered, order_of, recipe_of, recipe_text, setting
from lib_sticky.webui.merge_presets import NAMES, PRESETS, line, numbers
from lib_sticky.webui.merge_words import facts_words, jobs_words, method_words
from lib_sticky.webui.words import refused
from tests.api.shop import Shelf, waited

SD1 = {
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    "model.diffusion_model.input_blocks.0.0.weight": (4, 4),
    "cond_stage_model.transformer.text_model.final_layer_norm.weight": (4,),
    "first_stage_model.decoder.conv_in.weight": (4,),
}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    for name, value in (("a", 1.0), ("b", 3.0), ("c", 5.0)):
        made.add(name, value)
    return made


@pytest.fixture
def page(shelf: Shelf) -> Iterator[gr.Blocks]:
    jobs = Jobs(shelf)
    yield merge_tab.build(shelf, jobs, ["cpu", "cuda"])
    jobs.close()


def components(page: gr.Blocks) -> dict[str, Any]:
    return {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}


@pytest.fixture
def form(page: gr.Blocks) -> dict[str, Any]:
    """The values that the untouched page sends, by field."""
    named = components(page).items()
    found = {name.removeprefix("sticky_merge_"): block.value for name, block in named if hasattr(block, "value")}
    return {**found, "models": ["a.safetensors", "b.safetensors"]}


def test_every_offered_method_has_its_settings_as_controls(page: gr.Blocks) -> None:
    found = components(page)
    for method in offered().values():
        for parameter in method.parameters:
            control = found[f"sticky_merge_{setting(method, parameter)}"]
            assert (control.label, control.value) == (parameter.label, parameter.default)


def test_methods_that_do_not_end_in_a_model_are_not_offered() -> None:
    names = {method.name for method in offered().values()}
    assert set(METHODS) - names == {"subtract", "add"}


def test_every_input_and_button_has_its_own_ascii_elem_id_and_label(page: gr.Blocks) -> None:
    kinds = (gr.Dropdown, gr.Slider, gr.Textbox, gr.Checkbox, gr.Number, gr.Radio, gr.Button, gr.Accordion, gr.HTML)
    blocks = [block for block in page.blocks.values() if isinstance(block, kinds)]
    ids = [block.elem_id for block in blocks]
    assert all(name and name.startswith("sticky_merge_") for name in ids)
    assert len(set(ids)) == len(ids)
    assert all((getattr(block, "label", None) or "").isascii() for block in blocks)
    assert all(block.do_not_save_to_config for block in blocks)  # type: ignore[attr-defined]


def test_the_untouched_form_is_the_50_percent_rule(form: dict[str, Any], shelf: Shelf) -> None:
    order = order_of(form, shelf)
    assert order.recipe == compose("weighted_sum", ["a.safetensors", "b.safetensors"], {"alpha": 0.5})
    assert order.target.parent == shelf.folder()
    assert order.target.name.startswith("a+b-weighted_sum-")
    assert facts_of(order, shelf).ready


def test_every_method_makes_a_recipe_that_the_engine_plans(form: dict[str, Any], shelf: Shelf) -> None:
    for label, method in offered().items():
        count = 3 if any(item.many for item in method.inputs) else len(method.inputs)
        chosen = {"method": label, "models": shelf.models()[:count], "base": "c.safetensors"}
        assert facts_of(order_of({**form, **chosen}, shelf), shelf).tensors == 3, label


def test_a_method_on_changes_needs_a_base(form: dict[str, Any], shelf: Shelf) -> None:
    ties = METHODS["ties"].label
    with pytest.raises(ConfigError, match=r"Base model: TIES.*pick the model"):
        order_of({**form, "method": ties}, shelf)
    based = order_of({**form, "method": ties, "base": "c.safetensors", "strength": 0.7}, shelf)
    assert isinstance(based.recipe.root, Merge)
    assert (based.recipe.root.method, based.recipe.root.params["alpha"]) == ("add", 0.7)


def test_block_weights_go_to_the_chosen_setting(form: dict[str, Any], shelf: Shelf) -> None:
    given = {**form, "use_blocks": True, "block_IN03": 0.25, "block_BASE": 0.0, "rules": "OUT00:attn1:0.9\n"}
    weights = recipe_of(given, shelf).root.params["alpha"]  # type: ignore[union-attr]
    assert isinstance(weights, BlockWeights)
    assert (weights.base, weights.blocks["IN03"], weights.blocks["OUT11"]) == (0.0, 0.25, 0.5)
    assert weights.rules[0].value == 0.9


def test_a_rule_alone_leaves_the_slider_as_the_rest(form: dict[str, Any], shelf: Shelf) -> None:
    weights = recipe_of({**form, "weighted_sum_alpha": 0.3, "rules": ":attn1:1"}, shelf).root.params["alpha"]  # type: ignore[union-attr]
    assert isinstance(weights, BlockWeights)
    assert (weights.base, dict(weights.blocks)) == (0.3, {})


def test_a_method_without_that_setting_refuses_block_weights(form: dict[str, Any], shelf: Shelf) -> None:
    with pytest.raises(ConfigError, match="Setting by block"):
        order_of({**form, "method": METHODS["average"].label, "use_blocks": True}, shelf)


def test_loras_take_one_strength_or_one_each(form: dict[str, Any], shelf: Shelf) -> None:
    given = {**form, "loras": ["x.safetensors", "y.safetensors"]}

    def strengths(text: str) -> list[Any]:
        outer = recipe_of({**given, "lora_strengths": text}, shelf).root
        return [outer.inputs[0].params["alpha"], outer.params["alpha"]]  # type: ignore[union-attr]

    assert strengths("0.5") == [0.5, 0.5]
    assert strengths("1, 0.6") == [1.0, 0.6]
    for wrong in ("1, 2, 3", "much"):
        with pytest.raises(ConfigError, match="LoRA strengths"):
            strengths(wrong)


def test_parts_come_from_where_they_are_told_in_their_own_format(
    form: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lib_sticky.merge.architectures import load
    from lib_sticky.webui import merge_form

    shelf = Shelf(_made(tmp_path / "sd1"))
    shelf.add("a", 1.0, SD1)
    monkeypatch.setattr(merge_form, "detect", lambda _tensors: load("sd1"))
    recipe = recipe_of(
        {**form, "vae_from": "b.safetensors", "text_from": "the first model's", "vae_format": "fp32", "format": "fp16"},
        shelf,
    )
    assert dict(recipe.parts) == {"vae": Model("b.safetensors"), "clip_l": Model("a.safetensors")}
    assert dict(recipe.dtype) == {"*": "fp16", "vae": "fp32"}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_an_unknown_layout_has_no_parts_to_choose(form: dict[str, Any], shelf: Shelf) -> None:
    with pytest.raises(ConfigError, match="VAE: any model: its parts cannot be told apart"):
        order_of({**form, "vae_from": "b.safetensors"}, shelf)


@pytest.mark.parametrize("text", ["", "{", "[1]", "weighted_sum &1 &2", '{"schema": 7}'])
def test_a_bad_recipe_is_refused_in_words(form: dict[str, Any], shelf: Shelf, text: str) -> None:
    with pytest.raises(ConfigError, match="Sticky: Recipe: "):
        order_of({**form, "use_recipe": True, "recipe": text}, shelf)


def test_a_recipe_shown_and_used_again_is_the_same(form: dict[str, Any], shelf: Shelf) -> None:
    recipe = recipe_of({**form, "loras": ["x.safetensors"]}, shelf)
    assert recipe_of({**form, "use_recipe": True, "recipe": recipe_text(recipe)}, shelf) == recipe


def dropped(page: gr.Blocks, file: Path) -> list[Any]:
    """What the page sets when a file is dropped: the box, its tick, and what is said."""
    (event,) = [each for each in page.fns.values() if each.name == "dropped"]
    return list(event.fn(str(file)))  # type: ignore[misc]


def test_a_dropped_recipe_is_read_and_ticked(page: gr.Blocks, tmp_path: Path) -> None:
    file = tmp_path / "soup.mecha"
    file.write_text(
        'model "a.safetensors" "sdxl" "base"\nmodel "b.safetensors" "sdxl" "base"\nmerge "weighted_sum" &0 &1'
    )
    text, ticked, said = dropped(page, file)
    assert (text, ticked) == (file.read_text(), True)
    assert "2 files" in said
    file.write_bytes(b"\xff\xfe")
    assert "utf-8" in dropped(page, file)[2]
    file.write_text("explode 1")
    assert "unknown command" in dropped(page, file)[2]


def test_the_page_merges_and_reads_its_history(form: dict[str, Any], shelf: Shelf) -> None:
    jobs = Jobs(shelf)
    recipe = order_of({**form, "name": "half"}, shelf)
    waited(jobs, jobs.submit(recipe))
    (found,) = history(shelf)
    assert found.name == "half.safetensors"
    again = order_of({**form, "use_recipe": True, "recipe": recipe_text(found.recipe), "name": "again"}, shelf)
    assert waited(jobs, jobs.submit(again)).state == "done"
    jobs.close()


def test_every_shape_fits_the_editor_and_its_line_reads_back() -> None:
    for name, values in PRESETS.items():
        assert len(values) == len(NAMES) == 26, name
        assert numbers(line(values)) == values


def test_a_list_for_sdxl_sets_the_blocks_that_it_has() -> None:
    found = dict(zip(NAMES, numbers(",".join(map(str, range(20)))), strict=True))
    assert (found["BASE"], found["IN08"], found["IN09"], found["M00"], found["OUT08"]) == (0, 9, 0, 10, 19)
    with pytest.raises(ConfigError, match="Block weights as numbers"):
        numbers("1,2,3")


def test_what_files_are_called_cannot_become_markup(form: dict[str, Any], shelf: Shelf) -> None:
    evil = "<img src=x onerror=alert(1)>"
    state = State("1", evil, "failed", evil)
    words = [jobs_words([state], evil), refused(evil), facts_words(facts_of(order_of(form, shelf), shelf), evil)]
    assert all("<img" not in text and "&lt;img" in text for text in words)


def test_the_queue_tells_the_page_when_to_look_again() -> None:
    states = [
        State("1", "one", "done", sha256="ab"),
        State("2", "two", "running", "merging", 5, 10, 3.0),
        State("3", "x"),
    ]
    words = jobs_words(states, "")
    assert "data-active='1' data-finished='1:'" in words
    assert "<progress value='5' max='10'" in words
    assert "3.0 s left" in words
    assert "data-active='0'" in jobs_words(states[:1], "")


def test_every_method_is_explained() -> None:
    for method in offered().values():
        words = method_words(method)
        assert "sticky-formula" in words
        assert "Source: " in words
