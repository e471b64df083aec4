"""PNG files with infotext: what goes in comes out, nothing is overwritten or left half-written."""

from __future__ import annotations

import io
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lib_sticky import __version__
from lib_sticky.config import Config, ConfigError
from lib_sticky.lab.png import packed, save, up_filtered
from lib_sticky.studio.job import SAMPLER_NAMES, Job, JobError
from lib_sticky.studio.paste import job_of, of_picture
from lib_sticky.studio.png import infotext
from lib_sticky.studio.side_by_side import side_by_side

JOB = Job("a red star", "moon", "DPM++ 2M", 12, 6.5, 128, 64, 7, config=Config(enabled=True, start=0.25))
PICTURE = Image.new("RGB", (8, 8), (200, 30, 30))


def test_infotext_is_in_a1111s_form() -> None:
    assert infotext(replace(JOB, clip_skip=2), 1, "some, model") == (
        "a red star\n"
        "Negative prompt: moon\n"
        "Steps: 12, Sampler: DPM++ 2M, Schedule type: Automatic, CFG scale: 6.5, Seed: 8, Size: 128x64, "
        'Model: "some, model", Clip skip: 2, RNG: CPU, Sticky: "{\\"v\\":1,\\"enabled\\":true,\\"start\\":0.25}", '
        f"Version: sticky studio {__version__}"
    )


def test_off_leaves_no_trace() -> None:
    assert "Sticky:" not in infotext(replace(JOB, config=Config(terms="x")), 0, "m")


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99), st.sampled_from(["RGB", "L", "RGBA", "P"]))
def test_a_quickly_packed_picture_is_the_same_picture(width: int, height: int, seed: int, mode: str) -> None:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = Image.fromarray(values).convert(mode)
    about = PngInfo()
    about.add_text("parameters", "é 🙂\nSteps: 3")
    with Image.open(io.BytesIO(packed(picture, about))) as found:
        assert found.format == "PNG"
        assert found.text["parameters"] == "é 🙂\nSteps: 3"
        assert np.array_equal(np.asarray(found), np.asarray(picture.convert("RGB")))


def test_rows_are_filtered_by_the_row_above() -> None:
    rows = np.array([[[10, 20, 30]], [[12, 20, 29]]], dtype=np.uint8)
    assert up_filtered(rows).tolist() == [[2, 10, 20, 30], [2, 2, 0, 255]]


def test_a_quick_file_carries_its_infotext_too(tmp_path: Path) -> None:
    path = save(PICTURE, tmp_path, "strip", infotext(JOB, 0, "m"), quick=True)
    assert job_of(of_picture(path)) == JOB


@pytest.mark.parametrize(
    "config",
    [Config(), Config(enabled=True), Config(enabled=True, terms='say "no": a, b\nc \\ é 🙂', placement="own chunk")],
)
def test_round_trip_through_a_png(tmp_path: Path, config: Config) -> None:
    job = replace(JOB, prompt="a, b: c\nsecond line 🙂", config=config)
    path = save(PICTURE, tmp_path, "7", infotext(job, 0, "m"))
    assert job_of(of_picture(path)) == job


TEXT = st.text(alphabet="ab ,:()[]\"\\'|é<>{}0", max_size=40).map(str.strip)


@given(prompt=TEXT, negative=TEXT, terms=TEXT, sampler=st.sampled_from(SAMPLER_NAMES), steps=st.integers(3, 150))
def test_any_job_round_trips(prompt: str, negative: str, terms: str, sampler: str, steps: int) -> None:
    job = Job(prompt, negative, sampler, steps, 7.5, 64, 64, 3, config=Config(enabled=True, terms=terms))
    assert job_of(infotext(job, 0, "m")) == job


def test_an_infotext_of_a1111_is_read() -> None:
    text = (
        "masterpiece, (cat:1.2)\nNegative prompt: bad, blurry\nmore bad\nSteps: 30, Sampler: UniPC, Schedule type: "
        'Automatic, CFG scale: 20.0, Seed: 42, Size: 512x768, Model hash: abc, Lora hashes: "a: 1, b: 2", Version: v1'
    )
    assert job_of(text) == Job("masterpiece, (cat:1.2)", "bad, blurry\nmore bad", "UniPC", 30, 20.0, 512, 768, 42)


def test_text_without_parameters_is_a_prompt() -> None:
    assert job_of("a cat\nsize: large") == Job("a cat\nsize: large")
    assert job_of("") == Job()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("Steps: many, Seed: 1, CFG scale: 7", "Steps"),
        ("Steps: 9999, Seed: 1, CFG scale: 7", "steps"),
        ("Steps: 9, Seed: 1, CFG scale: high", "CFG scale"),
        ("Steps: 9, Seed: 1, Size: 64xtall", "Size"),
    ],
)
def test_an_unusable_infotext_names_its_key(line: str, named: str) -> None:
    with pytest.raises(JobError) as caught:
        job_of(f"a\n{line}")
    assert caught.value.field == named


def test_an_unusable_sticky_value_is_named() -> None:
    with pytest.raises(ConfigError, match="Sticky"):
        job_of("a\nSteps: 9, Seed: 1, Sticky: nonsense")


def test_files_are_numbered_on_and_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    first = save(PICTURE, folder, "7", "one")
    second = save(PICTURE, folder, "7", "two")
    assert [first.name, second.name] == ["00001-7.png", "00002-7.png"]
    (folder / "00041-x.png").write_bytes(b"mine")
    assert save(PICTURE, folder, "8", "three").name == "00042-8.png"
    assert of_picture(first) == "one"
    assert (folder / "00041-x.png").read_bytes() == b"mine"


def test_files_have_the_users_usual_rights(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    saved = save(PICTURE, tmp_path, "7", "text")
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        save(PICTURE, tmp_path, "7", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_picture_without_infotext_is_said_so(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "plain.png")
    with pytest.raises(JobError, match=r"plain\.png carries no infotext"):
        of_picture(tmp_path / "plain.png")


def test_side_by_side_has_a_column_a_side_and_a_row_a_seed() -> None:
    other = Image.new("RGB", (8, 8), (30, 30, 200))
    sheet = side_by_side([("without", [PICTURE, PICTURE]), ("with", [other, other])])
    colours = {colour: count for count, colour in sheet.getcolors(1 << 20) or []}
    assert colours[(200, 30, 30)] == colours[(30, 30, 200)] == 2 * 256 * 256
    assert sheet.getpixel((8 + 128, 32 + 128)) == (200, 30, 30)
    assert sheet.getpixel((16 + 256 + 128, 32 + 128)) == (30, 30, 200)
