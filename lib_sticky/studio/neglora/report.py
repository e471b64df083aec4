"""The report of a comparison of negative LoRAs: the same page, tables and files as every other comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lib_sticky import __version__
from lib_sticky.lab.compare import Delta, Setting, Taken, Way, cell, refusal, share
from lib_sticky.lab.compare_tables import columns, push_by_step, rows, shares_of
from lib_sticky.lab.labelled import labelled
from lib_sticky.lab.manifest import Entry, Manifest
from lib_sticky.lab.png import save
from lib_sticky.lab.report_html import Cell, Picture, Report, Section, page
from lib_sticky.studio.comparing import picture_key, strip_key
from lib_sticky.studio.comparison_report import GRID_ROWS, gathered, write_new
from lib_sticky.studio.neglora.arms import ABOUT, DESIGN, EXPLAINED, Arm, Comparison

_READING = """
All arms make picture i from the same prompt and the same noise. A difference is taken between two arms' pictures of one
seed; the median of these differences is shown with its 95% bootstrap interval, for shares their mean.

p is an exact sign test (McNemar's for shares); corrected is after Holm's correction for every comparison in
differences.csv.

N1 is the placebo: what the LoRA itself does is N2 − N1 and N4 − N1. N4 − N2 is what the side does. A LoRA on both sides
changes the prompt's own prediction too, which N3 shows by itself.

A blank picture is unclipped and free of noise: no such figure means anything where the blank rate rose.
"""


@dataclass(frozen=True)
class Reporting:
    """A finished comparison; `model` and `lora` are names, `command` makes it again."""

    comparison: Comparison
    model: str
    folder: Path
    command: str

    def write(self) -> Path:
        """Write report, tables and `table.md`; the report's path."""
        manifest = Manifest(self.folder)
        entries = [(place, arm, seed, self._entry(manifest, place, arm, seed)) for place, arm, seed in self._places()]
        data = gathered(self.folder, entries, DESIGN)
        taken, found, logs, texts = data.taken, data.found, data.logs, data.texts
        table = write_new(self.folder, "table.md", markdown(taken, found))
        files = [(table, "shares of every arm, and their differences"), *data.files]
        sections = [self._section(manifest, taken, found, place, logs, texts) for place in self.comparison.settings]
        method = (*(f"{arm.value}, {ABOUT[arm]}: {EXPLAINED[arm]}" for arm in ABOUT), *_READING.strip().split("\n\n"))
        names = [(path.name, about) for path, about in files]
        told = f"{len(self.comparison.prompts)} prompts, such as: {self.comparison.prompts[0]}"
        facts = self._facts(manifest)
        report = Report("Negative LoRA: five arms", told, facts, refusal(found), sections, method, names)
        return write_new(self.folder, "report.html", page(report))

    def _places(self) -> list[tuple[Setting, Way, int]]:
        first = self.comparison.base.seed
        seeds = range(first, first + self.comparison.pictures)
        return [(setting, arm, seed) for setting in self.comparison.settings for arm in ABOUT for seed in seeds]

    @staticmethod
    def _entry(manifest: Manifest, setting: Setting, arm: Way, seed: int) -> Entry:
        return manifest.entry(picture_key(setting, arm, seed))

    def _section(
        self, manifest: Manifest, taken: Sequence[Taken], found: Sequence[Delta], setting: Setting,
        logs: Sequence[tuple[Setting, Way, int, Sequence[Mapping[str, Any]]]], texts: Mapping[str, str],
    ) -> Section:  # fmt: skip
        first, more = rows(taken, found, setting, DESIGN)
        cells = [self._cell(manifest, taken, setting, arm, texts) for arm in ABOUT]
        pushes = {
            f"{arm.value} {ABOUT[arm]}": push_by_step(
                [log for place, of, _, log in logs if (place, of) == (setting, arm)]
            )
            for arm in ABOUT
        }
        notes = shares_of(taken, setting, DESIGN)
        grid = self._grid(taken, setting, texts)
        return Section(setting.label, notes, grid, cells, columns(DESIGN), first, more, pushes)

    def _cell(
        self, manifest: Manifest, taken: Sequence[Taken], setting: Setting, arm: Way, texts: Mapping[str, str]
    ) -> Cell:
        pictures = [Picture(each.seed, each.file, texts[each.file]) for each in cell(taken, setting, arm)]
        negative = self.comparison.job(setting, arm, 0).negative
        strip = manifest.entry(strip_key(setting, arm)).file
        return Cell(f"CFG {setting.cfg:g}: {arm.value} {ABOUT[arm]}", EXPLAINED[arm], negative, pictures, strip)

    def _grid(self, taken: Sequence[Taken], setting: Setting, texts: Mapping[str, str]) -> str:
        """The first pictures of all arms in one; its path below the folder."""
        by_arm = {arm: cell(taken, setting, arm)[:GRID_ROWS] for arm in ABOUT}
        seeds = [each.seed for each in by_arm[Arm.NONE]]
        pictures = [
            [Image.open(self.folder / by_arm[arm][row].file).convert("RGB") for arm in ABOUT]
            for row in range(len(seeds))
        ]
        heads = [f"{arm.value} {ABOUT[arm]}" for arm in ABOUT]
        sheet = labelled(
            f"{setting.label}, the first {len(seeds)}", heads, [f"seed {seed}" for seed in seeds], pictures
        )
        text = texts[by_arm[Arm.NEGATIVE][0].file]
        return save(sheet, self.folder / "grids", setting.name, text).relative_to(self.folder).as_posix()

    def _facts(self, manifest: Manifest) -> list[tuple[str, str]]:
        of = self.comparison
        return [
            ("Model", self.model),
            ("LoRA", f"{Path(of.lora).name} at {of.strength:g}, word: {of.word}"),
            ("Sampler", of.base.sampler),
            ("Pictures", f"{of.pictures} an arm, {of.total:,} in all, seeds from {of.base.seed}"),
            ("Prompts", json.dumps(of.prompts, ensure_ascii=False)),
            ("Model calls", f"{sum(manifest.notes('calls')):,}"),
            ("Time", f"{sum(manifest.notes('seconds')):.0f} s"),
            ("Made by", f"sticky studio {__version__}: {self.command}"),
        ]


def markdown(taken: Sequence[Taken], found: Sequence[Delta]) -> str:
    """For documents: the share of every arm and its paired differences to N0 and N1, in points, with 95% intervals."""
    lines: list[str] = []
    for setting in dict.fromkeys(each.setting for each in taken):
        pairs = len(cell(taken, setting, Arm.NONE))
        lines += [f"**{setting.label}, {pairs} pictures an arm**", "", "| figure | arm | share | − N0 | − N1 |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for name in cell(taken, setting, Arm.NONE)[0].said:
            for arm in ABOUT:
                own = share(cell(taken, setting, arm), name)
                figure = f"{100 * own.value:.1f} [{100 * own.low:.1f}, {100 * own.high:.1f}]"
                to = [_against(found, setting, name, arm, other) for other in (Arm.NONE, Arm.WORD)]
                lines.append(f"| {name} | {arm.value} {ABOUT[arm]} | {figure} | {to[0]} | {to[1]} |")
        lines.append("")
    return "\n".join(lines)


def _against(found: Sequence[Delta], setting: Setting, name: str, arm: Way, reference: Way) -> str:
    wanted = (setting, name, arm, reference)
    for each in found:
        if (each.setting, each.name, each.arm, each.reference) == wanted:
            ends = (each.difference.value, each.difference.low, each.difference.high)
            value, low, high = (f"{100 * number:+.1f}".replace("-", "−") for number in ends)
            return f"{value} [{low}, {high}]"
    return ""
