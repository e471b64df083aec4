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
from lib_sticky.lab.prior_html import Part, Thumbnail, page
from lib_sticky.lab.yields import Drawn, differences, diversity, drawn, duplicates, palette, sentence
from lib_sticky.presets import UNTITLED
from lib_sticky.studio.drawing import Drawing, entries

_ACROSS = 8


@dataclass(frozen=True)
class Result:
    """One preset: its finished pictures, by seed, and what they amount to."""

    preset: str
    entries: Sequence[Entry]
    pictures: Sequence[Drawn]
    palette: Sequence[tuple[int, int, int]]

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
    values = [rgb(_opened(drawing, entry)) for entry in found]
    pictures = [
        drawn(drawing.job.seed + index, entry.about["kept"], picture)
        for index, (entry, picture) in enumerate(zip(found, values, strict=True))
    ]
    return Result(preset, found, pictures, palette(values))


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
    notes = [drawing.rule, *differences({name: each.pictures for name, each in found.items()})]
    return page(
        f"What {drawing.model.stem} draws when it is asked for nothing",
        facts,
        notes,
        [_part(each) for each in found.values()],
    )


def _part(result: Result) -> Part:
    distance, effective = diversity(result.pictures)
    like = duplicates(result.pictures)
    spread = f"mean distance of all pairs {distance:.3f}, effective number of different pictures {effective:.1f}"
    notes = [
        result.sentence + ".",
        f"Diversity: {spread} of {len(result.pictures)}, near-duplicates {len(like)}.",
        f"What acted: {result.entries[0].about['acted']}.",
    ]
    thumbnails = [
        Thumbnail(each.seed, entry.file, each.kept, f"like {like[each.seed]}" if each.seed in like else "")
        for entry, each in zip(result.entries, result.pictures, strict=True)
    ]
    about = ", ".join(f"{name} {value}" for name, value in changed(UNTITLED[result.preset]).items())
    return Part(f"Preset {result.preset}", about, notes, result.palette, thumbnails)
