"""`untitled` on a tiny pipeline: pictures, sheet, scores, yield, and going on where it stopped."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.worth import scored
from lib_sticky.presets import UNTITLED
from lib_sticky.studio import untitled


@pytest.fixture
def command(sd1: Diffusers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    model = tmp_path / "tiny.safetensors"
    model.write_bytes(b"")
    monkeypatch.setattr("lib_sticky.studio.untitled.folder_and_model", lambda *_: (tmp_path / "out", model, sd1))
    return ["--seeds", "3", "--steps", "2", "--batch", "2", "--width", "32", "--height", "32", "--out", "out"]


def test_it_makes_pictures_sheet_scores_and_a_yield(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert untitled.main(["--preset", "U3", "U2", *command]) == 0
    said = capsys.readouterr().out
    assert "U3: yield" in said
    assert "U3 against U2" in said
    (folder,) = (tmp_path / "out").iterdir()
    assert len(list(folder.rglob("pictures/*/*.png"))) == 6
    assert len(list(folder.glob("*sheet*.png"))) == 2
    rows = list(csv.DictReader((folder / "scores.csv").open(encoding="utf-8")))
    assert [(row["preset"], row["seed"]) for row in rows] == [(p, s) for p in ("U3", "U2") for s in ("1", "2", "3")]
    assert "asked for nothing" in (folder / "report.html").read_text(encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("pictures/*/*.png")}
    assert untitled.main(["--preset", "U3", *command]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("pictures/*/*.png")}


@pytest.mark.parametrize("preset", UNTITLED)
def test_every_preset_asks_for_nothing(preset: str) -> None:
    assert UNTITLED[preset].untitled


def test_without_judges_a_flat_picture_is_not_kept() -> None:
    from PIL import Image

    assert not scored(Image.new("RGB", (32, 32), (9, 90, 200)), {})["kept"]


@pytest.mark.parametrize("flags", [["--seeds", "0"], ["--seed", "-1"], ["--steps", "0"], ["--preset", "U9"]])
def test_a_flag_that_is_no_use_is_refused(flags: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        untitled.main(flags)
