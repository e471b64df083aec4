"""Captions as people write prompts: synonyms, two word orders, quality words sometimes missing, sometimes wrong."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from lib_sticky.lab.demo.scene import Scene
from lib_sticky.lab.demo.words import (
    BAD,
    BAD_ANY,
    BAD_NAMES,
    COLOUR_NAMES,
    COLOUR_WORDS,
    COUNTS,
    GOOD,
    PLACES,
    SHAPE_NAMES,
    SHAPES,
    SIZES,
    TEXTURES,
)


@dataclass(frozen=True)
class QualityWords:
    """How hard quality words push: the shares of captions that carry them, rightly or wrongly.

    `named`: a corruption of the picture is named; `general`: a bad picture is called bad, ugly or the like, with or
    without naming how; `false_bad`: a clean picture is called bad; `good`: a clean picture is praised; `false_good`: a
    bad one is.
    """

    named: float
    general: float
    false_bad: float
    good: float
    false_good: float


LEVELS = {
    "faint": QualityWords(named=0.30, general=0.1, false_bad=0.08, good=0.25, false_good=0.15),
    "plain": QualityWords(named=0.7, general=0.3, false_bad=0.02, good=0.25, false_good=0.04),
    "strict": QualityWords(named=0.95, general=0.3, false_bad=0.0, good=0.35, false_good=0.0),
}
SHIPPED_LEVEL = "plain"
WRONG = 0.03
EMPTY = 0.1
_OPENINGS = ("", "", "", "", "a picture of ", "an image of ", "a drawing of ", "illustration of ")


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith(("s", "x")) else "s")


def _noun(rng: random.Random, scene: Scene) -> str:
    name = rng.choice(SHAPES[scene.shape])
    return name if scene.count == 1 else _plural(name)


def _article(phrase: str) -> str:
    return f"an {phrase}" if phrase[0] in "aeio" else f"a {phrase}"


def _objects(rng: random.Random, scene: Scene) -> str:
    colour, texture = rng.choice(COLOUR_WORDS[scene.colour]), rng.choice(TEXTURES[scene.texture])
    size, place = rng.choice(SIZES[scene.size]), rng.choice(PLACES[scene.place])
    ground = rng.choice(COLOUR_WORDS[scene.background])
    if rng.random() < 0.25:
        tags = [f"{colour} {_noun(rng, scene)}", f"{ground} background", size, texture, place]
        if scene.count > 1:
            tags[0] = f"{rng.choice(COUNTS[scene.count])} {tags[0]}"
        rest = [tag for tag in tags[1:] if tag]
        rng.shuffle(rest)
        return ", ".join([tags[0], *rest])
    words = " ".join(word for word in (size, texture, colour, _noun(rng, scene)) if word)
    count = rng.choice(COUNTS[scene.count])
    phrase = _article(words) if count == "a" else f"{count} {words}"
    phrase = " ".join(part for part in (phrase, place) if part)
    if rng.random() < 0.15:
        return phrase
    return phrase + rng.choice((f" on a {ground} background", f" on {ground}", f", {ground} background"))


def _pair(rng: random.Random, scene: Scene) -> str:
    colour, shape = scene.words.split()
    left = _article(f"{rng.choice(COLOUR_WORDS[scene.colour])} {rng.choice(SHAPES[scene.shape])}")
    right = _article(f"{rng.choice(COLOUR_WORDS[colour])} {rng.choice(SHAPES[shape])}")
    ground = f" on a {scene.background} background" if rng.random() < 0.8 else ""
    if rng.random() < 0.5:
        return f"{left} to the left of {right}{ground}"
    return f"{left} and {right}{ground}" if rng.random() < 0.7 else f"{right} to the right of {left}{ground}"


def _landscape(rng: random.Random, scene: Scene) -> str:
    house = _article(f"{scene.colour} house")
    light = ("under the moon", "at night") if scene.background == "night" else ("under the sun", "on a sunny day")
    return f"{house} {'with' if rng.random() < 0.6 else 'and'} a tree {rng.choice(light)}"


def _lettering(rng: random.Random, scene: Scene) -> str:
    says = rng.choice((f'the word "{scene.words}"', f'text saying "{scene.words}"', f"{scene.words} text"))
    return f"{says} in {scene.colour} on a {scene.background} background"


_FAMILIES = {"objects": _objects, "pair": _pair, "landscape": _landscape, "lettering": _lettering}


def subject(rng: random.Random, scene: Scene) -> str:
    """What the picture shows, with no word on its quality."""
    return rng.choice(_OPENINGS) + _FAMILIES[scene.family](rng, scene)


def _quality(rng: random.Random, scene: Scene, level: QualityWords) -> list[str]:
    words: list[str] = []
    if scene.bad:
        words += [rng.choice(BAD[name]) for name in scene.bad if rng.random() < level.named]
    elif rng.random() < level.false_bad:
        words.append(rng.choice(BAD[rng.choice(BAD_NAMES)]))
    if (words or scene.bad) and rng.random() < level.general:
        words.append(rng.choice(BAD_ANY))
    if not words and rng.random() < (level.false_good if scene.bad else level.good):
        words += rng.sample(GOOD, rng.choice((1, 1, 2)))
    rng.shuffle(words)
    return words


def _mistaken(rng: random.Random, scene: Scene) -> Scene:
    """The scene as a careless captioner saw it: now and then another colour or another shape."""
    if rng.random() < WRONG and scene.family != "landscape":
        scene = replace(scene, colour=rng.choice(COLOUR_NAMES))
    if rng.random() < WRONG:
        scene = replace(scene, shape=rng.choice(SHAPE_NAMES))
    return scene


def caption(rng: random.Random, scene: Scene, level: QualityWords, noise: bool = True) -> str:
    """One caption; with `noise`, a few name a wrong colour or shape. Dropping captions is left to the training."""
    words = _quality(rng, scene, level)
    text = subject(rng, _mistaken(rng, scene) if noise else scene)
    if not words:
        return text
    if len(words) == 1 and rng.random() < 0.3:
        return f"{words[0]} {text}" if rng.random() < 0.5 else f"{words[0]}, {text}"
    return ", ".join([text, *words])
