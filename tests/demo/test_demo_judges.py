"""The judges and the figures made from them, on renders whose content is known."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from lib_sticky.lab.demo.arms import Prompts, paired, share  # noqa: E402
from lib_sticky.lab.demo.corrupt import corrupt  # noqa: E402
from lib_sticky.lab.demo.evaluate import markdown  # noqa: E402
from lib_sticky.lab.demo.frechet import frechet_distance  # noqa: E402
from lib_sticky.lab.demo.judges import WEIGHTS, judge  # noqa: E402
from lib_sticky.lab.demo.render import render  # noqa: E402
from lib_sticky.lab.demo.scene import objects_scene  # noqa: E402
from lib_sticky.lab.demo.train_judges import accuracy  # noqa: E402


def test_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 1_500_000


def test_judges_agree_with_fresh_renders() -> None:
    rng = random.Random("judges")
    scenes = [objects_scene(rng) for _ in range(150)]
    right = accuracy(judge(render(scenes)), scenes)
    assert right["shape"] >= 0.85 and right["colour"] >= 0.95 and right["clean called clean"] >= 0.85


def test_judges_tell_strong_flaws_from_clean_pictures() -> None:
    rng = random.Random("flaws")
    for name in ("noisy", "low quality", "washed out"):
        scenes = [replace(objects_scene(rng), bad=(name,)) for _ in range(40)]
        pictures = corrupt(render(scenes), [(name,)] * 40, torch.Generator().manual_seed(1))
        assert float((judge(pictures).clean > 0.5).float().mean()) < 0.3, name


def test_an_empty_picture_is_blank() -> None:
    said = judge(torch.cat((torch.full((1, 3, 128, 128), 0.5), render([objects_scene(random.Random(1))]))))
    assert said.blank.tolist() == [True, False]
    assert said.features.shape == (2, 64) and said.bad.shape == (2, 8)
    assert int(said.count.min()) >= 1 and int(said.count.max()) <= 5


def test_a_fifth_object_does_not_pass_for_the_fourth() -> None:
    rng = random.Random("five")
    for count in (4, 5):
        said = judge(render([objects_scene(rng, count=count) for _ in range(60)])).count
        assert float((said == count).float().mean()) > 0.8, count


def test_pictures_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="128"):
        judge(torch.zeros(1, 3, 64, 64))


def test_flawed_pictures_are_far_from_clean_ones() -> None:
    rng = random.Random("far")
    scenes = [objects_scene(rng) for _ in range(200)]
    clean = judge(render(scenes)).features
    noisy = corrupt(render(scenes[:100]), [("noisy",)] * 100, torch.Generator().manual_seed(2))
    assert frechet_distance(judge(noisy).features, clean) > 2 * frechet_distance(clean[:100], clean)


def test_held_out_prompts_are_reproducible_and_right_is_counted() -> None:
    prompts = Prompts.held_out(20)
    assert prompts.texts == Prompts.held_out(20).texts
    said = judge(render(prompts.scenes))
    shape, colour, count = prompts.right(said)
    assert float(shape.float().mean()) > 0.8 and float(colour.float().mean()) > 0.9 and count.dtype == torch.bool


def test_intervals_by_hand() -> None:
    assert share(torch.ones(100, dtype=torch.bool)) == "100.0±1.8"
    assert share(torch.tensor([True, False] * 50)) == "50.0±9.6"
    first, second = torch.tensor([True] * 50 + [False] * 50), torch.tensor([False] * 100)
    assert paired(first, second) == "+50.0 [+40.2, +59.8]"


def test_markdown_has_a_line_a_row() -> None:
    text = markdown({"1": {"a": "x", "b": 2}, "3": {"a": "y", "b": 4}}, "CFG")
    assert text.splitlines() == ["| CFG | a | b |", "| --- | --- | --- |", "| 1 | x | 2 |", "| 3 | y | 4 |"]
