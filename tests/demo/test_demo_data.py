"""The rendered world: the same seed gives the same picture, and pictures show what their scenes say."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from lib_sticky.lab.demo.captions import LEVELS, caption, subject  # noqa: E402
from lib_sticky.lab.demo.corrupt import corrupt  # noqa: E402
from lib_sticky.lab.demo.examples import chunk, chunk_scenes  # noqa: E402
from lib_sticky.lab.demo.number_format import quick_format  # noqa: E402
from lib_sticky.lab.demo.render import FORMS, form_distance, render  # noqa: E402
from lib_sticky.lab.demo.scene import SIDE, Layer, Scene, any_scene, draw_bad, objects_scene  # noqa: E402
from lib_sticky.lab.demo.words import BAD, BAD_ANY, BAD_NAMES, COLOURS, SHAPE_NAMES  # noqa: E402


def _one(form: str, rgb: tuple[float, float, float] = (1.0, 0.0, 0.0)) -> Scene:
    radius = 30.0
    layer = Layer(form, 64.0, 64.0, radius, radius, rgb)
    return Scene("objects", "black", (0.0, 0.0, 0.0), (layer,), form, "red")


def test_a_chunk_depends_on_seed_and_number_only() -> None:
    first, scenes = chunk(3, 1)
    again, _ = chunk(3, 1)
    assert torch.equal(first, again)
    assert chunk_scenes(3, 1) == scenes
    assert not torch.equal(first, chunk(3, 2)[0])
    assert not torch.equal(first, chunk(4, 1)[0])


def test_a_circle_covers_its_area() -> None:
    picture = render([_one("circle")])[0]
    assert float(picture[0].sum()) == pytest.approx(3.14159 * (0.95 * 30) ** 2, rel=0.005)
    assert float(picture[1:].sum()) == 0.0


def test_a_square_covers_its_area_and_a_box_fills_its_extents() -> None:
    assert float(render([_one("square")])[0, 0].sum()) == pytest.approx((2 * 0.82 * 30) ** 2, rel=0.01)
    assert float(render([_one("box")])[0, 0].sum()) == pytest.approx(60.0**2, rel=0.01)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_stays_inside_its_extents(form: str) -> None:
    axis = torch.linspace(-2, 2, 81)
    u, v = torch.meshgrid(axis, axis, indexing="xy")
    inside = form_distance(form, u, v) < 0
    assert bool(inside.any())
    assert bool((u[inside].abs() <= 1.16).all()) and bool((v[inside].abs() <= 1.16).all())


def test_forms_differ_from_each_other() -> None:
    pictures = render([_one(form) for form in SHAPE_NAMES])[:, 0]
    for i in range(len(pictures)):
        for j in range(i):
            assert float((pictures[i] - pictures[j]).abs().sum()) > 200


def test_objects_stay_inside_and_apart() -> None:
    rng = random.Random(5)
    for number in range(240):
        scene = objects_scene(rng, count=5 if number >= 200 else 0)
        assert len(scene.layers) == scene.count and scene.colour != scene.background
        for i, a in enumerate(scene.layers):
            assert a.rx <= a.x <= SIDE - a.rx and a.ry <= a.y <= SIDE - a.ry
            assert all((a.x - b.x) ** 2 + (a.y - b.y) ** 2 > (2 * a.rx) ** 2 for b in scene.layers[:i])


def test_place_words_hold() -> None:
    rng = random.Random(6)
    seen = [scene for scene in (objects_scene(rng) for _ in range(600)) if scene.place != "anywhere"]
    for scene in seen:
        x, y = scene.layers[0].x / SIDE, scene.layers[0].y / SIDE
        holds = {"left": x < 0.5, "right": x > 0.5, "top": y < 0.5, "bottom": y > 0.5, "center": 0.4 < x < 0.6}
        assert holds[scene.place]
    assert {scene.place for scene in seen} == {"left", "right", "top", "bottom", "center"}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_each_corruption_changes_its_picture_and_no_other(name: str) -> None:
    clean = render([_one("star", (0.7, 0.3, 0.2)), _one("heart", (0.7, 0.3, 0.2))])
    made = corrupt(clean, [(name,), ()], torch.Generator().manual_seed(0))
    assert torch.equal(made[1], clean[1])
    assert float((made[0] - clean[0]).abs().mean()) > 0.005
    assert float(made.min()) >= 0.0 and float(made.max()) <= 1.0


def test_share_of_bad_pictures_is_the_one_asked_for() -> None:
    rng = random.Random(7)
    drawn = [draw_bad(rng, 0.22) for _ in range(4000)]
    assert sum(bool(bad) for bad in drawn) / 4000 == pytest.approx(0.22, abs=0.025)
    assert {len(bad) for bad in drawn} == {0, 1, 2, 3, 4}


def test_a_subject_names_shape_and_colour_and_no_quality() -> None:
    rng = random.Random(8)
    words = {word for names in BAD.values() for word in names}
    for _ in range(300):
        scene = objects_scene(rng)
        text = subject(rng, scene)
        assert not any(word in text for word in words)
        if scene.shape == "star" and scene.colour == "white":
            assert "star" in text and "white" in text


def test_quality_levels_differ_in_how_often_the_word_is_said() -> None:
    rng = random.Random(9)
    scene = replace(objects_scene(rng), bad=("blurry",))
    shares = {}
    for name, level in LEVELS.items():
        texts = [caption(rng, scene, level, noise=False) for _ in range(800)]
        kind = sum(any(word in text for word in BAD["blurry"]) for text in texts) / 800
        shares[name] = (kind, sum(any(word in text for word in BAD_ANY) for text in texts) / 800)
    assert shares["faint"] == pytest.approx((0.30, 0.1), abs=0.06)
    assert shares["plain"] == pytest.approx((0.7, 0.3), abs=0.06)
    assert shares["strict"] == (pytest.approx(0.95, abs=0.03), pytest.approx(0.3, abs=0.06))


def test_every_family_is_rendered_and_captioned() -> None:
    rng = random.Random(10)
    scenes = [any_scene(rng) for _ in range(200)]
    assert {scene.family for scene in scenes} == {"objects", "pair", "landscape", "lettering"}
    assert render(scenes[:40]).shape == (40, 3, SIDE, SIDE)
    assert all(caption(rng, scene, LEVELS["plain"]) for scene in scenes)


def test_a_picture_has_one_vividness() -> None:
    """White and black lie as far from grey on either side, so that an equal vividness makes them add up to one."""
    rng = random.Random(12)
    drawn = [objects_scene(rng, colour="white") for _ in range(400)]
    sums = [(sum(s.ground) + sum(s.layers[0].rgb)) / 3 for s in drawn if s.background == "black"]
    assert len(sums) > 100 and max(abs(total - 1) for total in sums) <= 0.1


def test_colours_are_far_enough_apart_to_be_judged() -> None:
    names = list(COLOURS)
    for i, a in enumerate(names):
        for b in names[:i]:
            assert max(abs(x - y) for x, y in zip(COLOURS[a], COLOURS[b], strict=True)) > 0.2, (a, b)


def test_a_scene_says_how_vivid_its_colours_are() -> None:
    rng = random.Random("vivid")
    for scene in (objects_scene(rng) for _ in range(100)):
        far = max(abs(c - 0.5) for c in scene.ground)
        named = max(abs(c - 0.5) for c in COLOURS[scene.background])
        assert abs(far - min(0.5, named * scene.vivid)) <= 0.05 + 1e-9


def test_a_gpu_trains_in_bfloat16_whatever_the_cpu_can() -> None:
    assert quick_format("cuda") is torch.bfloat16
    assert quick_format() in (torch.bfloat16, torch.float32)
