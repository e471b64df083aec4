"""Leaving terms out: what is made, how terms are told apart, and what the command says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib_sticky.config import Config, ConfigError
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.prompt.brackets import split_at_commas
from lib_sticky.studio import ablate, models
from lib_sticky.studio.ablation import Pictures, ablated, effects, terms_of
from lib_sticky.studio.job import Job
from lib_sticky.studio.making import settled
from lib_sticky.studio.paste import job_of, of_picture

JOB = Job("a red star", sampler="Euler", steps=2, seed=7, batch=2, config=Config(enabled=True, terms="blurry, bad"))


@pytest.mark.parametrize(
    ("terms", "parts"),
    [
        ("blurry, bad hands,, ugly ,", ["blurry", "bad hands", "ugly"]),
        ("(a, b:1.2), [c, d:0.5], e", ["(a, b:1.2)", "[c, d:0.5]", "e"]),
        (r"\(a, b\), c", [r"\(a", r"b\)", "c"]),
        ("(a, b", ["(a", "b"]),
        ("", []),
    ],
)
def test_terms_are_split_at_commas_outside_brackets(terms: str, parts: list[str]) -> None:
    assert split_at_commas(terms) == parts


def test_one_term_cannot_be_left_out() -> None:
    assert terms_of(JOB) == ["blurry", "bad"]
    with pytest.raises(ConfigError, match="1 are too few"):
        terms_of(replace(JOB, config=Config(terms="bad, bad")))


def test_each_term_is_left_out_once(sd1: Diffusers) -> None:
    found = list(ablated(sd1, settled(JOB, sd1), 3, "tiny"))
    assert [each.lacking for each in found] == ["", "blurry", "bad"]
    terms = [{job_of(text).config.terms for text in each.infotexts} for each in found]
    assert terms == [{"blurry, bad"}, {"bad"}, {"blurry"}]
    assert [job_of(text).seed for text in found[1].infotexts] == [7, 8, 9]


def flat(*values: int) -> tuple[Image.Image, ...]:
    return tuple(Image.new("RGB", (16, 16), (value,) * 3) for value in values)


def test_terms_are_sorted_by_what_they_move() -> None:
    texts = ("", "")
    found = [
        Pictures("", flat(100, 50), texts),
        Pictures("weak", flat(101, 51), texts),
        Pictures("strong", flat(110, 70), texts),
    ]
    strong, weak = effects(found, lambda pictures: [{"dark": np.asarray(each).max() < 60} for each in pictures])
    assert (strong.term, weak.term) == ("strong", "weak")
    assert strong.moved.value == pytest.approx(15) and weak.moved.value == pytest.approx(1)
    assert (strong.changes["dark"].value, weak.changes["dark"].value) == (0.5, 0.0)


def test_the_command_writes_a_sheet_and_a_table(
    sd1: Diffusers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "open_model", lambda _path: sd1)
    monkeypatch.setattr(models, "chosen", lambda _path: Path("tiny.safetensors"))
    flags = ["--prompt", "a red star", "--terms", "blurry, bad", "--steps", "2", "--seed", "7", "--sampler", "Euler"]
    assert ablate.main([*flags, "--seeds", "2", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "| blurry |" in said and "| bad |" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00001-7-ablation.md", "00001-7-ablation.png"]
    assert job_of(of_picture(tmp_path / "00001-7-ablation.png")).config.terms == "blurry, bad"
    for bad, named in ((["--terms", "bad"], "terms"), (["--seeds", "0"], "--seeds")):
        with pytest.raises(SystemExit) as left:
            ablate.main([*flags, *bad, "--out", str(tmp_path)])
        assert left.value.code == 2
        assert named in capsys.readouterr().err
