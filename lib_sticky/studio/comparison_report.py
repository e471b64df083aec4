"""From what a comparison's manifest holds to its report, its CSV files and its grids."""

from __future__ import annotations

import hashlib
import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lib_sticky import __version__
from lib_sticky.guidance.effective_cfg import gain_for
from lib_sticky.lab.compare import (
    ABOUT,
    EXPLAINED,
    STICKY,
    Arm,
    Delta,
    Design,
    Setting,
    Taken,
    Way,
    cell,
    deltas,
    refusal,
)
from lib_sticky.lab.compare_tables import COLUMNS, deltas_csv, pictures_csv, push_by_step, rows, shares_of, steps_csv
from lib_sticky.lab.labelled import labelled
from lib_sticky.lab.manifest import Entry, Manifest
from lib_sticky.lab.png import save
from lib_sticky.lab.report_html import Cell, Picture, Report, Section, page
from lib_sticky.studio.arms import Comparison
from lib_sticky.studio.comparing import picture_key, probes, scale_of, strip_key
from lib_sticky.studio.conditions import negative_of
from lib_sticky.studio.job import OPTIONS

FAMILIAR = 7.0
"""The scale that most people use, for "feels like"."""

GRID_ROWS = 16
_READING = """
All arms start from the same noise, seed by seed. A difference is taken between two arms' pictures of the same seed; the
median of these differences is shown with its 95% bootstrap interval over seeds, for shares their mean.

p is an exact sign test (McNemar's for shares); corrected is after Holm's correction for every comparison in
differences.csv, the metrics that are not shown first included.

A2 − A0 alone says little: with the prompt in the negative the push has another size, as it has at another CFG scale.
A2 − A3 is what the undesirable terms do beyond the form; A2 − A4 is what they do beyond the size of the push.

A blank picture is unclipped, free of noise and of halos: no such figure means anything where the blank rate rose.

The metrics describe pictures and do not say which is better. One prompt says nothing about other prompts, one model
nothing about other models.
"""
_CALLS = (
    "{all:,} in all: {calls:,} to make the pictures, {probing:,} with the empty prompt to measure the effective CFG, "
    "0 for filmstrips and metrics"
)
_METHOD = (
    *(f"{arm.value}, {ABOUT[arm]}: {EXPLAINED[arm]}" for arm in Arm),
    *_READING.strip().split("\n\n"),
)


@dataclass(frozen=True)
class Gathered:
    """What the sections of a report are made from, and the tables that stand beside it, each with what it holds."""

    taken: list[Taken]
    found: list[Delta]
    logs: list[tuple[Setting, Way, int, list[dict[str, float]]]]
    texts: dict[str, str]
    files: list[tuple[Path, str]]


def gathered(folder: Path, entries: Sequence[tuple[Setting, Way, int, Entry]], design: Design = STICKY) -> Gathered:
    """Compare the pictures of `entries` by `design` and write the three tables into `folder`."""
    taken = [
        Taken(setting, arm, seed, entry.file, entry.about["measured"], entry.about["said"])
        for setting, arm, seed, entry in entries
    ]
    found = deltas(taken, design)
    logs = [(setting, arm, seed, entry.about["steps"]) for setting, arm, seed, entry in entries]
    files = [
        (write_new(folder, "differences.csv", deltas_csv(found)), "every difference with interval and test"),
        (write_new(folder, "pictures.csv", pictures_csv(taken, design)), "every metric of every picture"),
        (write_new(folder, "steps.csv", steps_csv(logs)), "what guidance did to each picture on each step"),
    ]
    texts = {entry.file: str(entry.about["infotext"]) for *_, entry in entries}
    return Gathered(taken, found, logs, texts, files)


@dataclass(frozen=True)
class Reporting:
    """A finished comparison; `model` is its name, `command` makes it again."""

    comparison: Comparison
    model: str
    folder: Path
    command: str

    def write(self) -> Path:
        """The report's path; it is written, beside any older one, unless there is one of these very pictures."""
        manifest = Manifest(self.folder)
        entries = list(self._entries(manifest))
        known = hashlib.sha256(repr([(entry.file, entry.sha256) for *_, entry in entries]).encode()).hexdigest()
        for before in manifest.notes("report"):
            if before["pictures"] == known and (self.folder / before["file"]).is_file():
                return self.folder / before["file"]
        path = self._write(manifest, entries)
        manifest.note(report={"file": path.name, "pictures": known})
        return path

    def _entries(self, manifest: Manifest) -> Iterator[tuple[Setting, Arm, int, Entry]]:
        for setting in self.comparison.settings:
            for arm in Arm:
                for seed in self._seeds():
                    yield setting, arm, seed, manifest.entry(picture_key(setting, arm, seed))

    def _seeds(self) -> range:
        return range(self.comparison.base.seed, self.comparison.base.seed + self.comparison.seeds)

    def _write(self, manifest: Manifest, entries: Sequence[tuple[Setting, Arm, int, Entry]]) -> Path:
        data = gathered(self.folder, entries)
        taken, found, logs, texts, files = data.taken, data.found, data.logs, data.texts, data.files
        sections: list[Section] = []
        for setting in self.comparison.settings:
            first, more = rows(taken, found, setting)
            grid = self._grid(manifest, taken, setting, texts)
            cells = [self._cell(manifest, taken, setting, arm, texts) for arm in Arm]
            notes = (*self._scale(manifest, setting), *shares_of(taken, setting))
            pushes = {
                f"{arm.value} {ABOUT[arm]}": push_by_step(
                    [log for place, of, _, log in logs if (place, of) == (setting, arm)]
                )
                for arm in Arm
            }
            sections.append(Section(setting.label, notes, grid, cells, COLUMNS, first, more, pushes))
        facts = self._facts(manifest)
        names = [(path.name, about) for path, about in files]
        report = Report(
            "Sticky: same-seed comparison", self.comparison.base.prompt, facts, refusal(found), sections, _METHOD, names
        )
        return write_new(self.folder, "report.html", page(report))

    def _cell(
        self, manifest: Manifest, taken: Sequence[Taken], setting: Setting, arm: Arm, texts: dict[str, str]
    ) -> Cell:
        scale = scale_of(manifest, self.comparison, setting, arm)
        own = cell(taken, setting, arm)
        pictures = [Picture(each.seed, each.file, texts[each.file]) for each in own]
        label = _label(setting, self.comparison, arm, scale)
        negative = negative_of(self.comparison.job(setting, arm, scale))
        return Cell(label, EXPLAINED[arm], negative, pictures, manifest.entry(strip_key(setting, arm)).file)

    def _grid(self, manifest: Manifest, taken: Sequence[Taken], setting: Setting, texts: dict[str, str]) -> str:
        """The first seeds of all arms in one picture; its path below the folder."""
        seeds = self._seeds()[:GRID_ROWS]
        scales = {arm: scale_of(manifest, self.comparison, setting, arm) for arm in Arm}
        columns = [f"{arm.value} {ABOUT[arm]}" + (f" {scales[arm]:g}" if arm is Arm.MATCHED else "") for arm in Arm]
        by_seed = {(each.arm, each.seed): self.folder / each.file for each in taken if each.setting == setting}
        pictures = [[Image.open(by_seed[arm, seed]) for arm in Arm] for seed in seeds]
        some = "" if len(seeds) == self.comparison.seeds else f" (first {len(seeds)} of {self.comparison.seeds} seeds)"
        sheet = labelled(f"{setting.label}{some}", columns, [f"seed {seed}" for seed in seeds], pictures)
        text = texts[next(each.file for each in taken if each.setting == setting and each.arm is Arm.STICKY)]
        return save(sheet, self.folder / "grids", setting.name, text).relative_to(self.folder).as_posix()

    def _scale(self, manifest: Manifest, setting: Setting) -> Iterator[str]:
        """What the scale of the sticky negative amounts to."""
        found = probes(manifest, self.comparison, setting)
        ratios = [probe.ratio for probe in found]
        steps = sorted({probe.step for probe in found})
        by_step = {step: statistics.median(each.ratio for each in found if each.step == step) for step in steps}
        matched = scale_of(manifest, self.comparison, setting, Arm.MATCHED)
        alpha = statistics.median(probe.dilution for probe in found)
        said = ", ".join(f"step {step}: {1 + (setting.cfg - 1) * ratio:.3g}" for step, ratio in by_step.items())
        yield (
            f"With the sticky negative CFG {setting.cfg:g} pushes as far as CFG {matched:.3g} does without a negative "
            f"(median of {len(ratios)} probes; {said}). Its A4 is made at that scale."
        )
        yield (
            f"Alpha is {alpha:.2g}: the sticky negative holds that share of what the prompt itself does, so the prompt "
            f"is guided at about CFG {1 + (setting.cfg - 1) * (1 - alpha):.3g}."
        )
        most = OPTIONS["cfg"].maximum
        familiar = gain_for(FAMILIAR, ratios, most)
        reach = f"set CFG to {familiar:.3g}" if familiar < most else f"even CFG {most:g} is not enough"
        yield f"To push as far as CFG {FAMILIAR:g} does without a negative: {reach}."

    def _facts(self, manifest: Manifest) -> list[tuple[str, str]]:
        base, probing = self.comparison.base, sum(manifest.notes("probes"))
        calls = sum(manifest.notes("calls"))
        spent = list(manifest.notes("seconds"))
        sampling, measuring = (sum(each[part] for each in spent) for part in ("sampling", "measuring"))
        return [
            ("Model", self.model),
            ("Sampler", base.sampler),
            ("Seeds", f"{base.seed} to {base.seed + self.comparison.seeds - 1}, in batches of {base.batch}"),
            ("Undesirable terms", base.config.terms),
            ("Placebo", self.comparison.placebo),
            ("Pictures", f"{self.comparison.pictures:,}"),
            ("Model calls", _CALLS.format(all=calls + probing, calls=calls, probing=probing)),
            ("Time", f"sampling {sampling:.0f} s, metrics, filmstrips and saving {measuring:.0f} s"),
            ("Made by", f"sticky studio {__version__}: {self.command}"),
        ]


def _label(setting: Setting, comparison: Comparison, arm: Arm, scale: float) -> str:
    """A cell in lists that hold all settings: what all settings share is left out."""
    others = {(each.steps, each.width, each.height) for each in comparison.settings}
    rest = "" if len(others) == 1 else f", {setting.steps} steps, {setting.width}x{setting.height}"
    scaled = f" at CFG {scale:g}" if arm is Arm.MATCHED else ""
    return f"CFG {setting.cfg:g}{rest}: {arm.value} {ABOUT[arm]}{scaled}"


def write_new(folder: Path, name: str, text: str) -> Path:
    """Write `text` to `name`, or to `name` with the first free number; never to a file that exists, never half."""
    stem, dot, ending = name.partition(".")
    partial = folder / f".{name}.part"
    partial.write_text(text, encoding="utf-8", newline="")
    number = 1
    while True:
        path = folder / (name if number == 1 else f"{stem}-{number}{dot}{ending}")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            number += 1
        else:
            os.replace(partial, path)
            return path
