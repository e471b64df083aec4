"""What a picture shows, as data: scenes are drawn at random from a seeded generator, before any pixel exists."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from lib_sticky.lab.demo.words import BAD_NAMES, COLOUR_NAMES, COLOURS, LETTERING, SHAPE_NAMES

SIDE = 128
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Layer:
    """One painted form: centre and half extents in pixels, a turn in radians, a form, a colour and a texture name."""

    form: str
    x: float
    y: float
    rx: float
    ry: float
    rgb: Rgb
    texture: str = "plain"
    turn: float = 0.0


@dataclass(frozen=True)
class Scene:
    """A picture before rendering; `family` is objects, pair, landscape or lettering, `bad` names its corruptions.

    `shape`, `colour`, `count`, `size`, `texture` and `place` describe the main object; the judges are only asked
    about family "objects", where every object of the picture is of that kind. `vivid`: see `vividness`.
    """

    family: str
    background: str
    ground: Rgb
    layers: tuple[Layer, ...]
    shape: str
    colour: str
    count: int = 1
    size: str = "medium"
    texture: str = "plain"
    place: str = "anywhere"
    words: str = ""
    vivid: float = 1.0
    bad: tuple[str, ...] = field(default=())


_RADII = {
    1: {"small": (15, 19), "medium": (24, 31), "large": (39, 48)},
    2: {"small": (14, 16), "medium": (18, 22), "large": (25, 29)},
    3: {"small": (13, 15), "medium": (16, 19), "large": (21, 23)},
    4: {"small": (12, 14), "medium": (15, 17), "large": (19, 21)},
    5: {"small": (12, 13), "medium": (14, 16), "large": (17, 18)},
}
_BANDS = {
    "left": ((0.0, 0.36), (0.3, 0.7)),
    "right": ((0.64, 1.0), (0.3, 0.7)),
    "top": ((0.3, 0.7), (0.0, 0.36)),
    "bottom": ((0.3, 0.7), (0.64, 1.0)),
    "center": ((0.46, 0.54), (0.46, 0.54)),
    "anywhere": ((0.0, 1.0), (0.0, 1.0)),
}


def vividness(rng: random.Random) -> float:
    """How far from grey all colours of a picture are, in distances of the named ones: 0.8 to 1.4."""
    return rng.uniform(0.8, 1.4)


def jittered(rng: random.Random, name: str, vivid: float) -> Rgb:
    """The named colour with its distance from grey times `vivid`, each channel moved by up to 0.05."""
    spread = (0.5 + (c - 0.5) * vivid + rng.uniform(-0.05, 0.05) for c in COLOURS[name])
    red, green, blue = (min(1.0, max(0.0, c)) for c in spread)
    return red, green, blue


def _within(rng: random.Random, band: tuple[float, float], radius: float) -> float:
    low, high = max(band[0] * SIDE, radius + 3), min(band[1] * SIDE, SIDE - radius - 3)
    return (low + high) / 2 if low > high else rng.uniform(low, high)


def _scatter(rng: random.Random, count: int, radius: float, place: str) -> list[tuple[float, float]]:
    """Centres of `count` discs of one radius that stay inside the picture and do not touch each other."""
    across, down = _BANDS[place]
    while True:
        centres: list[tuple[float, float]] = []
        for _ in range(60):
            x, y = _within(rng, across, radius), _within(rng, down, radius)
            if all(math.hypot(x - a, y - b) > 2 * radius + 4 for a, b in centres):
                centres.append((x, y))
                if len(centres) == count:
                    return centres


def _other(rng: random.Random, *taken: str) -> str:
    return rng.choice([name for name in COLOUR_NAMES if name not in taken])


def objects_scene(rng: random.Random, shape: str = "", colour: str = "", count: int = 0) -> Scene:
    """Equal objects on a plain ground; shape, colour and a count of one to four are drawn when they are not given."""
    shape, colour = shape or rng.choice(SHAPE_NAMES), colour or rng.choice(COLOUR_NAMES)
    plain = [name for name in ("white", "black") if name != colour]
    background = _other(rng, colour) if rng.random() < 0.6 else rng.choice(plain)
    count = count or rng.choices((1, 2, 3, 4), (0.62, 0.17, 0.12, 0.09))[0]
    size = rng.choices(("small", "medium", "large"), (0.22, 0.45, 0.33))[0]
    texture = rng.choices(("plain", "striped", "dotted"), (0.8, 0.1, 0.1))[0]
    texture = "plain" if size == "small" or count > 2 else texture
    placed = count == 1 and size != "large" and rng.random() < 0.55
    place = rng.choice(("left", "right", "top", "bottom", "center")) if placed else "anywhere"
    radius = rng.uniform(*_RADII[count][size])
    vivid = vividness(rng)
    rgb = jittered(rng, colour, vivid)
    layers = tuple(
        Layer(shape, x, y, radius, radius, rgb, texture, rng.gauss(0.0, 0.06))
        for x, y in _scatter(rng, count, radius, place)
    )
    ground = jittered(rng, background, vivid)
    return Scene("objects", background, ground, layers, shape, colour, count, size, texture, place, vivid=vivid)


def pair_scene(rng: random.Random) -> Scene:
    """Two different objects side by side; `shape` and `colour` name the left one, `words` the right one."""
    background = rng.choice(("white", "black"))
    first = _other(rng, background)
    second = _other(rng, background, first)
    left, right = rng.choice(SHAPE_NAMES), rng.choice(SHAPE_NAMES)
    radius, vivid = rng.uniform(19, 25), vividness(rng)
    layers = (
        Layer(left, rng.uniform(29, 36), rng.uniform(46, 82), radius, radius, jittered(rng, first, vivid)),
        Layer(right, rng.uniform(92, 99), rng.uniform(46, 82), radius, radius, jittered(rng, second, vivid)),
    )
    ground = jittered(rng, background, vivid)
    return Scene("pair", background, ground, layers, left, first, 2, words=f"{second} {right}", vivid=vivid)


def landscape_scene(rng: random.Random) -> Scene:
    """A house and a tree on a lawn under a sun or a moon; `colour` is the colour of the house."""
    night = rng.random() < 0.4
    colour = rng.choice(("red", "orange", "purple", "white"))
    sky: Rgb = (0.07, 0.08, 0.2) if night else (0.55, 0.78, 0.95)
    house, tree = (rng.uniform(36, 46), rng.uniform(88, 100))
    layers = (
        Layer("box", 64, 116, 64, 24, (0.3, 0.6, 0.25)),
        Layer("circle", rng.uniform(64, 108), rng.uniform(18, 26), 12, 12, COLOURS["white" if night else "yellow"]),
        Layer("box", house, 80, 20, 18, jittered(rng, colour, vivid := vividness(rng))),
        Layer("triangle", house, 52, 29, 22, (0.45, 0.25, 0.15)),
        Layer("box", tree, 86, 4, 14, (0.4, 0.25, 0.12)),
        Layer("circle", tree, 62, 17, 17, (0.12, 0.45, 0.18)),
    )
    return Scene("landscape", "night" if night else "day", sky, layers, "square", colour, vivid=vivid)


def lettering_scene(rng: random.Random) -> Scene:
    """A short word in one colour in the middle of the picture."""
    background = rng.choice(("white", "black"))
    colour, word = _other(rng, background), rng.choice(LETTERING)
    pitch, vivid = 34.0, vividness(rng)
    rgb = jittered(rng, colour, vivid)
    start = 64 - pitch * (len(word) - 1) / 2 + rng.uniform(-6, 6)
    y = rng.uniform(52, 76)
    layers = tuple(Layer(letter, start + i * pitch, y, 14, 22, rgb) for i, letter in enumerate(word))
    ground = jittered(rng, background, vivid)
    return Scene("lettering", background, ground, layers, "square", colour, words=word, vivid=vivid)


def draw_bad(rng: random.Random, share: float) -> tuple[str, ...]:
    """Names of a picture's corruptions: none with probability 1 - share, else mostly one, sometimes up to four."""
    if rng.random() >= share:
        return ()
    several = rng.choices((1, 2, 3, 4), (0.76, 0.13, 0.07, 0.04))[0]
    return tuple(sorted(rng.sample(BAD_NAMES, several)))


def any_scene(rng: random.Random) -> Scene:
    """A scene of any family: 80 % objects, 9 % pairs, 6 % landscapes, 5 % lettering."""
    family = rng.choices((objects_scene, pair_scene, landscape_scene, lettering_scene), (0.80, 0.09, 0.06, 0.05))[0]
    return family(rng)
