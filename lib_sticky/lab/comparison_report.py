"""From what a comparison's manifest holds to its report, its CSV files and its grids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from PIL import Image

from .by_model import ByModel, by_model
from .compare import Delta, Design, Setting, Taken, Way, cell, deltas, refusal, settings
from .compare_tables import columns, deltas_csv, pictures_csv, push_by_step, rows, shares_of, steps_csv
from .comparing import Plan, picture_key, strip_key
from .labelled import labelled
from .manifest import Entry, Manifest
from .png import save
from .report_html import Cell, Picture, Report, Section, page
from .written import write_new

GRID_ROWS = 16
Place = tuple[Setting, Way, int]


@dataclass(frozen=True)
class Kind:
    """One kind of comparison; `explained` says what each arm is, `reading` how to read the report.

    marked: the arm whose infotext a grid carries.
    """

    title: str
    design: Design
    explained: Mapping[Way, str]
    reading: str
    marked: Way


class Telling(Protocol):
    """What one comparison says of itself."""

    kind: ClassVar[Kind]

    @property
    def prompt(self) -> str: ...

    def label(self, setting: Setting, arm: Way) -> str:
        """A cell in lists that hold all settings."""
        ...

    def head(self, setting: Setting, arm: Way) -> str:
        """The arm's column in the grid of a setting."""
        ...

    def negative(self, setting: Setting, arm: Way) -> str:
        """The arm's whole negative."""
        ...

    def notes(self, setting: Setting) -> Sequence[str]:
        """Sentences on a setting beside the shares of what is true of its pictures."""
        ...

    def facts(self) -> Sequence[tuple[str, str]]:
        """How it was made, by name."""
        ...

    def tables(self, taken: Sequence[Taken], found: Sequence[Delta]) -> Sequence[tuple[str, str, str]]:
        """Further files: name, text, and what they hold."""
        ...


@dataclass(frozen=True)
class Gathered:
    """What the sections of a report are made from."""

    taken: list[Taken]
    found: list[Delta]
    logs: list[tuple[Setting, Way, int, list[dict[str, Any]]]]
    texts: dict[str, str]


def entries_of(manifest: Manifest, plan: Plan, arms: Sequence[Way]) -> list[tuple[Place, Entry]]:
    """The finished pictures in the order of settings, `arms` and seeds. KeyError where one is missing."""
    places = [(setting, arm, seed) for setting in plan.settings for arm in arms for seed in plan.all_seeds()]
    return [(place, manifest.entry(picture_key(*place))) for place in places]


def gathered(entries: Sequence[tuple[Place, Entry]], design: Design) -> Gathered:
    """Compare the pictures of `entries` by `design`."""
    taken = [Taken(*place, entry.file, entry.about["measured"], entry.about["said"]) for place, entry in entries]
    logs = [(*place, entry.about["steps"]) for place, entry in entries]
    return Gathered(taken, deltas(taken, design), logs, {entry.file: entry.about["infotext"] for _, entry in entries})


@dataclass(frozen=True)
class Written:
    """What was written into `folder`: the report, a grid for each setting, and tables, as names below it."""

    folder: Path
    report: str
    grids: tuple[str, ...]
    tables: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the report is."""
        return self.folder / self.report


@dataclass(frozen=True)
class Reporting:
    """A finished comparison and what is to be said of it."""

    plan: Plan
    telling: Telling
    folder: Path

    def write(self) -> Written:
        """The report; it is written, beside any older one, unless there is one of these very pictures."""
        manifest = Manifest(self.folder)
        entries = entries_of(manifest, self.plan, list(self.telling.kind.design.about))
        known = hashlib.sha256(repr([(entry.file, entry.sha256) for _, entry in entries]).encode()).hexdigest()
        for before in manifest.notes("report"):
            if before["pictures"] == known and (self.folder / before["report"]).is_file():
                return Written(self.folder, before["report"], tuple(before["grids"]), tuple(before["tables"]))
        written = self._write(manifest, gathered(entries, self.telling.kind.design))
        about = {"report": written.report, "grids": written.grids, "tables": written.tables, "pictures": known}
        manifest.note(report=about)
        return written

    def _write(self, manifest: Manifest, data: Gathered) -> Written:
        telling = self.telling
        files = [
            *telling.tables(data.taken, data.found),
            ("differences.csv", deltas_csv(data.found), "every difference with interval and test"),
            ("pictures.csv", pictures_csv(data.taken, telling.kind.design), "every metric of every picture"),
            ("steps.csv", steps_csv(data.logs), "what guidance did to each picture on each step"),
        ]
        turned = by_model(data.taken, telling.kind.design.about)
        if turned:
            files.append(
                ("checkpoints.csv", deltas_csv(turned.found), "every checkpoint against the first, arm by arm")
            )
        names = [(write_new(self.folder, name, text).name, about) for name, text, about in files]
        sections = [self._section(manifest, data, setting) for setting in self.plan.settings]
        if turned:
            sections += [self._checkpoints(data, turned, setting) for setting in settings(turned.taken)]
        about = telling.kind.design.about
        method = (
            *(f"{arm.value}, {about[arm]}: {telling.kind.explained[arm]}" for arm in about),
            *telling.kind.reading.strip().split("\n\n"),
        )
        facts = [*telling.facts(), *_effort(manifest)]
        report = Report(telling.kind.title, telling.prompt, facts, refusal(data.found), sections, method, names)
        path = write_new(self.folder, "report.html", page(report))
        return Written(self.folder, path.name, tuple(each.grid for each in sections), tuple(name for name, _ in names))

    def _section(self, manifest: Manifest, data: Gathered, setting: Setting) -> Section:
        design = self.telling.kind.design
        first, more = rows(data.taken, data.found, setting, design)
        pushes = {
            f"{arm.value} {design.about[arm]}": push_by_step(
                [log for place, of, _, log in data.logs if (place, of) == (setting, arm)]
            )
            for arm in design.about
        }
        notes = (*self.telling.notes(setting), *shares_of(data.taken, setting, design))
        cells = [self._cell(manifest, data, setting, arm) for arm in design.about]
        grid = self._grid(data, setting)
        return Section(setting.label, notes, grid, cells, columns(design), first, more, pushes)

    def _checkpoints(self, data: Gathered, turned: ByModel, setting: Setting) -> Section:
        """One arm under one setting, checkpoint beside checkpoint."""
        first, more = rows(turned.taken, turned.found, setting, turned.design)
        notes = shares_of(turned.taken, setting, turned.design)
        heads = list(turned.design.about.values())
        grid = self._sheet(setting, heads, turned.taken, list(turned.design.about), data.texts)
        names = ", ".join(f"{way.value} is {name}" for way, name in turned.design.about.items())
        return Section(
            f"Checkpoints: {setting.label}", [f"{names}.", *notes], grid, [], columns(turned.design), first, more, {}
        )

    def _cell(self, manifest: Manifest, data: Gathered, setting: Setting, arm: Way) -> Cell:
        own = cell(data.taken, setting, arm)
        pictures = [Picture(each.seed, each.file, data.texts[each.file]) for each in own]
        label, negative = self.telling.label(setting, arm), self.telling.negative(setting, arm)
        strip = manifest.entry(strip_key(setting, arm)).file
        return Cell(label, self.telling.kind.explained[arm], negative, pictures, strip)

    def _grid(self, data: Gathered, setting: Setting) -> str:
        arms = list(self.telling.kind.design.about)
        heads = [self.telling.head(setting, arm) for arm in arms]
        marked = self.telling.kind.marked
        return self._sheet(setting, heads, data.taken, arms, data.texts, marked)

    def _sheet(
        self, setting: Setting, heads: Sequence[str], taken: Sequence[Taken], arms: Sequence[Way],
        texts: Mapping[str, str], marked: Way | None = None,
    ) -> str:  # fmt: skip
        """The first seeds of all arms in one picture, with the infotext of `marked` or the last; its path below."""
        seeds = self.plan.all_seeds()[:GRID_ROWS]
        by_place = {(each.arm, each.seed): each.file for each in taken if each.setting == setting}
        pictures = [[Image.open(self.folder / by_place[arm, seed]) for arm in arms] for seed in seeds]
        some = "" if len(seeds) == self.plan.seeds else f" (first {len(seeds)} of {self.plan.seeds} seeds)"
        sheet = labelled(f"{setting.label}{some}", heads, [f"seed {seed}" for seed in seeds], pictures)
        text = texts[by_place[marked or arms[-1], seeds[0]]]
        return save(sheet, self.folder / "grids", setting.name, text).relative_to(self.folder).as_posix()


def _effort(manifest: Manifest) -> list[tuple[str, str]]:
    calls, probing = sum(manifest.notes("calls")), sum(manifest.notes("probes"))
    spent = list(manifest.notes("seconds"))
    sampling, measuring = (sum(each[part] for each in spent) for part in ("sampling", "measuring"))
    beside = f", {probing:,} with the empty prompt to measure the effective CFG" if probing else ""
    return [
        (
            "Model calls",
            f"{calls + probing:,} in all: {calls:,} to make the pictures{beside}, 0 for filmstrips and metrics",
        ),
        ("Time", f"sampling {sampling:.0f} s, metrics, filmstrips and saving {measuring:.0f} s"),
    ]
