"""The commands: fast where nothing is computed, errors that name the flag, files that say how they were made."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lib_sticky import config
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.studio import __main__ as dispatcher
from lib_sticky.studio import generate, job, models
from lib_sticky.studio.paste import job_of, of_picture

SMALL = ["--prompt", "a red star", "--steps", "2", "--seed", "7", "--sampler", "Euler"]


@pytest.fixture
def out(tmp_path: Path, sd1: Diffusers, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for pictures, with the tiny pipeline in place of the model that ships."""
    monkeypatch.setattr(models, "open_model", lambda _path: sd1)
    monkeypatch.setattr(models, "chosen", lambda _path: Path("tiny.safetensors"))
    return tmp_path / "out"


def test_help_and_errors_import_no_torch() -> None:
    code = (
        "import sys\nfrom lib_sticky.studio.__main__ import main\nassert main(['--help']) == 0\n"
        "for flags in (['--help'], ['--steps', '0']):\n"
        "    try: main(['generate', *flags])\n    except SystemExit: pass\n"
        "print(sorted({'torch', 'gradio', 'diffusers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_field_has_a_flag() -> None:
    text = generate._parser().format_help()
    flags = {"--sticky", *(f"--{name.replace('_', '-')}" for name in (*job.OPTIONS, *config.OPTIONS))} - {"--enabled"}
    assert all(flag in text for flag in flags)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--steps", "0"], "--steps: 0 is outside 1 to 150"),
        (["--steps", "many"], "--steps"),
        (["--steps", "1", "--sampler", "DDIM"], "--steps: DDIM needs at least 2 steps"),
        (["--steps", "2", "--sampler", "UniPC"], "--steps: UniPC needs at least 3 steps"),
        (["--cfg", "nan"], "--cfg: nan is outside"),
        (["--cfg", "inf"], "--cfg: inf is outside"),
        (["--width", "100"], "--width: 100 is no multiple of 8"),
        (["--height", "-8"], "--height: -8 is outside"),
        (["--seed", "-2"], "--seed: -2 is outside"),
        (["--batch", "65"], "--batch: 65 is outside"),
        (["--clip-skip", "13"], "--clip-skip: 13 is outside"),
        (["--sampler", "Heun"], "--sampler"),
        (["--start", "2"], "--start: 2.0 is outside"),
        (["--start", "0.8", "--stop", "0.2"], "--start: 0.8 is after stop"),
        (["--placement", "none"], "--placement"),
        (["--terms", "x" * 20_001], "--terms: 20001 characters are too many"),
        (["--model", "/nowhere/model.safetensors"], "--model: there is no file or folder /nowhere/model.safetensors"),
        (["--unknown"], "--unknown"),
    ],
)
def test_a_bad_flag_is_named(flags: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        generate.main(flags)
    assert caught.value.code == 2
    assert named in capsys.readouterr().err


def test_a_file_is_no_folder_for_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        generate.main(["--out", str(tmp_path / "file")])
    assert "--out" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["empty.safetensors", "model.ckpt", "folder"])
def test_a_model_that_is_none_is_refused_in_words(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if path.suffix:
        path.write_bytes(b"not a model")
    else:
        path.mkdir()
    with pytest.raises(SystemExit):
        generate.main(["--model", str(path)])
    said = capsys.readouterr().err
    assert "--model: " in said
    assert str(path) in said
    assert "Traceback" not in said


def test_pictures_are_written_with_their_infotext(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main([*SMALL, "--sticky", "--cfg", "20", "--batch", "2", "--out", str(out)]) == 0
    said = capsys.readouterr()
    paths = [Path(line) for line in said.out.split()]
    assert [path.name for path in paths] == ["00001-7.png", "00002-8.png"]
    assert "CFG: acted on 2 steps\nmodel rows a step: 2 on 2\n" in said.err
    found = job_of(of_picture(paths[1]))
    assert (found.prompt, found.cfg, found.seed, found.width) == ("a red star", 20.0, 8, 16)
    assert found.config == config.Config(enabled=True)
    with Image.open(paths[0]) as picture:
        assert picture.size == (16, 16)


def test_compare_makes_both_and_a_sheet(out: Path) -> None:
    assert generate.main([*SMALL, "--compare", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["00001-7.png", "00002-7.png", "00003-7-compare.png"]
    switches = [job_of(of_picture(path)).config.enabled for path in sorted(out.iterdir())]
    assert switches == [False, True, True]


def test_a_scale_that_feels_like_another_is_chosen(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*SMALL, "--sticky", "--steps", "3", "--cfg", "20", "--out", str(out)]
    assert generate.main([*flags, "--feels-like", "7"]) == 0
    found = capsys.readouterr()
    said = re.search(
        r"CFG 20 with this negative pushes as far as CFG ([\d.e+]+) without one; for CFG 7 it is ([\d.]+)", found.err
    )
    assert said
    felt, chosen = map(float, said.groups())
    assert job_of(of_picture(Path(found.out.split()[0]))).cfg == chosen
    # Both follow from one measured ratio r: felt = 1 + 19 r and chosen = 1 + 6 / r.
    assert (felt - 1) * (chosen - 1) == pytest.approx(19 * 6, rel=0.02)


@pytest.mark.parametrize(
    ("flags", "said"),
    [(["--cfg", "1", "--feels-like", "7"], "pushes nowhere"), (["--feels-like", "99"], "outside 0 to 60")],
)
def test_a_scale_that_nothing_feels_like_is_refused(
    out: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        generate.main([*SMALL, "--sticky", "--steps", "3", *flags, "--out", str(out)])
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_a_filmstrip_is_drawn_at_no_model_call(out: Path, sd1: Diffusers, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = sd1.denoised
    monkeypatch.setattr(sd1, "denoised", lambda x, *rest: calls.append(len(x)) or real(x, *rest))
    for way in ("fast", "vae"):
        calls.clear()
        assert generate.main([*SMALL, "--cfg", "7", "--filmstrip", way, "--out", str(out / way)]) == 0
        assert calls == [2, 2]
        assert sorted(path.name for path in (out / way).iterdir()) == ["00001-7.png", "00002-7-filmstrip.png"]
        assert of_picture(out / way / "00002-7-filmstrip.png") == of_picture(out / way / "00001-7.png")


def test_an_interrupt_is_no_traceback(
    out: Path, sd1: Diffusers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sd1.pipe.unet, "forward", interrupted)
    assert generate.main([*SMALL, "--out", str(out)]) == 130
    assert "cancelled" in capsys.readouterr().err


def test_an_unknown_command_lists_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatcher.main(["genrate"]) == 2
    said = capsys.readouterr().err
    assert "'genrate'" in said
    assert all(name in said for name in dispatcher.COMMANDS)


def test_commands_are_handed_their_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(generate, "main", lambda argv: seen.append(list(argv)) or 5)
    assert dispatcher.main(["generate", "--steps", "3"]) == 5
    assert seen == [["--steps", "3"]]
