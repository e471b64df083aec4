"""The study on a tiny model: cells of equal pictures, resumed runs, tables that say no more than they may."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import claims_figures
from benchmarks.claims import Run
from benchmarks.claims_figures import write_figures
from benchmarks.claims_models import Models
from benchmarks.claims_plan import STICKY, STUDIES, Cell, Claim, Study
from benchmarks.claims_statistics import Made
from benchmarks.claims_subjects import Subjects
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.studio.conditions import negative_of

CELLS = (
    Cell("plain", 7.0, steps=3),
    Cell("sticky", 7.0, STICKY, steps=3),
    Cell("matched", 7.0, steps=3, matched="sticky"),
    Cell("all modes", 7.0, STICKY, over=(("gate", 1.0), ("twoscale", 3.0), ("clamp", 0.1)), steps=3),
)
ABOUT = {"file": "tiny.safetensors", "model": "0123456789abcdef", "dtype": "float32", "command": "command"}


@pytest.fixture
def run(sd1: Diffusers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    models = Models(tmp_path / "tiny.safetensors", tmp_path / "models", "float32")
    monkeypatch.setattr(models, "open", lambda _name: sd1)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red star\n\ntwo moons\n a blue square \n")
    return Run(tmp_path / "run", models, Subjects.of(judged=False, file=prompts), block=2)


def later() -> float:
    return time.monotonic() + 1000


def test_every_cell_that_a_claim_names_is_made() -> None:
    made = {cell.name for study in STUDIES.values() for cell in study.cells}
    named = {name for study in STUDIES.values() for claim in study.claims for pair in claim.pairs for name in pair}
    assert named <= made
    matched = {cell.matched for study in STUDIES.values() for cell in study.cells if cell.matched}
    assert matched <= {cell.name for cell in STUDIES["arms"].cells}
    cells = {cell for study in STUDIES.values() for cell in study.cells}
    assert len(cells) == len({cell.name for cell in cells})


def test_the_negative_of_each_kind() -> None:
    negatives = {
        cell.kind: negative_of(replace(cell.job(128, "the of", cell.cfg), prompt="a red star"))
        for cell in STUDIES["arms"].cells
        if "mild" not in cell.name
    }
    words = "blurry, noisy, distorted, artifacts, low quality"
    assert negatives == {
        "none": "", "terms": words, "sticky": f"a red star, {words}", "placebo": "a red star, the of",
    }  # fmt: skip


def test_blocks_go_on_where_they_stopped(run: Run, sd1: Diffusers, monkeypatch: pytest.MonkeyPatch) -> None:
    run.make(CELLS, 2, later())
    assert [(name, sorted(blocks)) for name, blocks in run.made.items()] == [
        ("plain", [0, 1]), ("sticky", [0, 1]), ("matched", [0, 1]), ("all modes", [0, 1]),
    ]  # fmt: skip
    assert all(len(made.said) == 2 for blocks in run.made.values() for made in blocks.values())
    assert [bool(run.made[name][0].probes) for name in ("plain", "sticky", "matched")] == [False, True, False]
    assert run.made["matched"][0].scale != 7.0
    with run._log.open("a") as file:
        file.write('{"cell": "cut sh')
    again = Run(run._folder, run._models, run._subjects, block=2)
    assert again.made == {
        name: {block: Made(**json.loads(json.dumps(vars(made)))) for block, made in blocks.items()}
        for name, blocks in run.made.items()
    }
    monkeypatch.setattr(sd1, "denoised", lambda *_: pytest.fail("nothing is missing"))
    again.make(CELLS, 2, later())


def test_nothing_is_begun_when_the_time_is_up(run: Run) -> None:
    run.make(CELLS, 2, time.monotonic() - 1)
    assert run.made == {}


def made(cell: str, values: list[bool]) -> dict[int, Made]:
    said = [{"right": value, "clean": value, "nothing there": False, "blank": False} for value in values]
    return {0: Made(cell, 0, 7.0, 1.0, said, [{"clipped": 0.25, "saturation": 0.5}] * len(values), [])}


def tables(folder: Path, count: int, half: str = "") -> str:
    log = {"a": made("a", [True] * count), "b": made("b", [False] * count)}
    claim = Claim("A is right more often", (("a", "b"), ("a", "absent")), half)
    study = Study("s", "A study", (Cell("a", 7.0), Cell("b", 7.0)), (claim,))
    halves = {"warm": [index < 3 for index in range(count)]}
    return write_figures(folder, [study], log, halves, ABOUT, docs=False).read_text()


def test_few_pairs_give_figures_and_no_verdict(tmp_path: Path) -> None:
    text = tables(tmp_path, 20)
    assert "| A is right more often | a − b | 20 | +100.0 [+100.0, +100.0] † |" in text
    assert "none: too few" in text and "higher" not in text
    assert "|  | a − absent | 0 |" in text and "not run yet" in text
    assert "| a | 20 | 100 [84, 100] |" in text


def test_enough_pairs_give_a_verdict(tmp_path: Path) -> None:
    text = tables(tmp_path, 1000)
    assert "right higher; clean higher; nothing there no difference resolved; clipped no difference resolved" in text


def test_a_claim_on_half_of_the_colours_counts_only_those(tmp_path: Path) -> None:
    assert "| A is right more often | a − b | 3 | +100.0" in tables(tmp_path, 20, "warm")


def test_the_page_keeps_what_stands_around_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "CLAIMS.md"
    page.write_text(f"before\n{claims_figures.BEGIN}\nold\n{claims_figures.END}\nafter\n")
    monkeypatch.setattr(claims_figures, "DOCS", tmp_path)
    log = {"a": made("a", [True])}
    write_figures(tmp_path, [Study("s", "T", (Cell("a", 7.0),), ())], log, {}, ABOUT, docs=True)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text and "### T" in text
