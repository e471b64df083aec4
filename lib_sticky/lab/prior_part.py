"""One preset's part of the page about a model: its yield, diversity, palette and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .diversity import features
from .pictures import Floats
from .prior_html import Part, Thumbnail
from .yields import Drawn, diversity, duplicates, palette, sentence


@dataclass(frozen=True)
class Shown:
    """A finished picture: what is remembered of it, its pixels, and its file as the page names it.

    small: what is shown of it in place of the file, "" for the file itself.
    """

    drawn: Drawn
    values: Floats
    file: str
    small: str = ""


def part(preset: str, about: str, acted: str, shown: Sequence[Shown], more: Sequence[str] = ()) -> Part:
    """The part of `preset`; ValueError without pictures.

    about: its fields in words. acted: what acted. more: further sentences.
    """
    if not shown:
        raise ValueError(f"there is no picture of {preset} to report on")
    pictures = [each.drawn for each in shown]
    distance, effective = diversity([features(each.values) for each in shown])
    like = duplicates(pictures)
    spread = f"mean distance of all pairs {distance:.3f}, effective number of different pictures {effective:.1f}"
    notes = [
        sentence(preset, pictures) + ".",
        *more,
        f"Diversity: {spread} of {len(pictures)}, near-duplicates {len(like)}.",
        f"What acted: {acted}.",
    ]
    colours = palette([each.values for each in shown])
    return Part(f"Preset {preset}", about, notes, colours, list(_thumbnails(shown, like)))


def _thumbnails(shown: Sequence[Shown], like: dict[int, int]) -> Iterator[Thumbnail]:
    for each in shown:
        seed = each.drawn.seed
        remark = f"like {like[seed]}" if seed in like else ""
        yield Thumbnail(seed, each.file, each.drawn.kept, remark, each.small)
