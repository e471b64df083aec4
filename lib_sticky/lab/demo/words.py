"""The vocabulary of the rendered world: names, synonyms, colours, shared by renderer, captions and judges."""

from __future__ import annotations

SHAPES: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "circle", "disc", "round shape"),
    "square": ("square", "square", "box"),
    "triangle": ("triangle",),
    "star": ("star", "star", "five-pointed star"),
    "heart": ("heart",),
    "cross": ("cross", "cross", "plus sign"),
}
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.78, 0.20, 0.20),
    "orange": (0.86, 0.52, 0.18),
    "yellow": (0.86, 0.78, 0.24),
    "green": (0.20, 0.58, 0.26),
    "blue": (0.20, 0.36, 0.76),
    "purple": (0.47, 0.20, 0.62),
    "white": (0.84, 0.84, 0.84),
    "black": (0.16, 0.16, 0.16),
}
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red", "red", "red", "crimson", "scarlet"),
    "orange": ("orange",),
    "yellow": ("yellow", "yellow", "yellow", "golden"),
    "green": ("green", "green", "green", "emerald"),
    "blue": ("blue", "blue", "blue", "azure"),
    "purple": ("purple", "purple", "violet"),
    "white": ("white",),
    "black": ("black",),
}
COUNTS: dict[int, tuple[str, ...]] = {
    1: ("a", "a", "a", "one", "a single"),
    2: ("two", "two", "two", "a pair of", "2"),
    3: ("three", "three", "3"),
    4: ("four", "four", "4"),
}
SIZES: dict[str, tuple[str, ...]] = {
    "small": ("small", "small", "tiny", "little"),
    "medium": ("", "", "", "medium"),
    "large": ("large", "large", "big", "huge"),
}
TEXTURES: dict[str, tuple[str, ...]] = {
    "plain": ("", "", "", "plain"),
    "striped": ("striped",),
    "dotted": ("dotted", "dotted", "spotted"),
}
PLACES: dict[str, tuple[str, ...]] = {
    "anywhere": ("",),
    "left": ("on the left", "on the left side"),
    "right": ("on the right", "on the right side"),
    "top": ("at the top",),
    "bottom": ("at the bottom",),
    "center": ("in the center", "in the middle", "centered"),
}
BAD: dict[str, tuple[str, ...]] = {
    "blurry": ("blurry", "blurry", "blurred", "out of focus"),
    "noisy": ("noisy", "noisy", "grainy", "noise"),
    "distorted": ("distorted", "distorted", "warped", "deformed"),
    "artifacts": ("artifacts", "artifacts", "jpeg artifacts", "glitch", "artifacting"),
    "washed out": ("washed out", "washed out", "faded", "low contrast"),
    "oversaturated": ("oversaturated", "oversaturated", "overexposed", "burnt"),
    "cropped": ("cropped", "cropped", "cut off", "out of frame"),
    "low quality": ("low quality", "low quality", "worst quality", "pixelated", "lowres"),
}
BAD_ANY: tuple[str, ...] = ("bad", "bad", "ugly", "bad quality", "awful")
GOOD: tuple[str, ...] = ("sharp", "clean", "high quality", "masterpiece", "best quality", "crisp", "detailed")
LETTERING: tuple[str, ...] = ("HI", "OK", "YES", "SKY")

SHAPE_NAMES = tuple(SHAPES)
COLOUR_NAMES = tuple(COLOURS)
SIZE_NAMES = tuple(SIZES)
TEXTURE_NAMES = tuple(TEXTURES)
PLACE_NAMES = tuple(PLACES)
BAD_NAMES = tuple(BAD)
