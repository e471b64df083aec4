"""From the pictures of Untitled presets to contact sheets, scores and the page about the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from lib_sticky.config import changed
from lib_sticky.lab.labelled import labelled
from lib_sticky.lab.manifest import Entry
from lib_sticky.lab.pictures import rgb
from lib_sticky.lab.prior_html import Part, page
from lib_sticky.lab.prior_part import Shown, part
from lib_sticky.lab.yields import Drawn, differences, drawn, duplicates, sentence
from lib_sticky.presets import UNTITLED
from lib_sticky.studio.drawing import Drawing, entries

_ACROSS = 8


@dataclass(frozen=True)
class Result:
    """One preset: its finished pictures, by seed, and what is remembered of them."""

    preset: str
    entries: Sequence[Entry]
    pictures: Sequence[Drawn]

    @property
    def sentence(self) -> str:
        """The yield in words."""
        return sentence(self.preset, self.pictures)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One line of scores for each picture; yes and no as 1 and 0."""
        like = duplicates(self.pictures)
        for entry, each in zip(self.entries, self.pictures, strict=True):
            said = {name: int(value) for name, value in entry.about["said"].items()}
            yield {
                "preset": self.preset, "seed": each.seed, "file": entry.file, "kept": int(each.kept),
                "near duplicate of": like.get(each.seed, ""), **said, **entry.about["measured"],
            }  # fmt: skip


def results(drawing: Drawing) -> dict[str, Result]:
    """What every preset came to, from the finished pictures."""
    return {preset: _result(drawing, preset) for preset in drawing.presets}


def _result(drawing: Drawing, preset: str) -> Result:
    found = entries(drawing, preset)
    pictures = [
        drawn(drawing.job.seed + index, entry.about["kept"], rgb(_opened(drawing, entry)))
        for index, entry in enumerate(found)
    ]
    return Result(preset, found, pictures)


def _opened(drawing: Drawing, entry: Entry) -> Image.Image:
    with Image.open(drawing.folder / entry.file) as picture:
        return picture.convert("RGB")


def sheet(drawing: Drawing, result: Result) -> Image.Image:
    """All pictures of a preset, labelled with their seeds; those worth keeping say so."""
    across = min(_ACROSS, len(result.pictures))
    pictures = [_opened(drawing, entry) for entry in result.entries]
    empty = Image.new("RGB", pictures[0].size, (255, 255, 255))
    captions = [f"{each.seed}{' kept' if each.kept else ''}" for each in result.pictures]
    missing = -len(pictures) % across
    cells, words = pictures + [empty] * missing, captions + [""] * missing
    starts = range(0, len(cells), across)
    return labelled(
        result.sentence,
        [""] * across,
        [""] * len(starts),
        [cells[start : start + across] for start in starts],
        [words[start : start + across] for start in starts],
    )


def write_page(drawing: Drawing, found: Mapping[str, Result]) -> str:
    """The report: what the model draws when it is asked for nothing."""
    job = drawing.job
    facts = [
        ("Model", drawing.model.name),
        ("Sampler", f"{job.sampler}, {job.steps} steps"),
        ("Size", f"{job.width} x {job.height}"),
        ("Seeds", f"{job.seed} to {job.seed + drawing.seeds - 1}, the same for every preset"),
    ]
    compared = differences({name: each.pictures for name, each in found.items()})
    notes = [drawing.rule, *(each.sentence for each in compared)]
    return page(
        f"What {drawing.model.stem} draws when it is asked for nothing",
        facts,
        notes,
        [_part(drawing, each) for each in found.values()],
    )


def _part(drawing: Drawing, result: Result) -> Part:
    shown = [
        Shown(each, rgb(_opened(drawing, entry)), entry.file)
        for entry, each in zip(result.entries, result.pictures, strict=True)
    ]
    about = ", ".join(f"{name} {value}" for name, value in changed(UNTITLED[result.preset]).items())
    return part(result.preset, about, result.entries[0].about["acted"], shown)
