"""Comparisons on a tiny model: what the arms are, what is made, kept, made again, measured and said."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib_sticky.config import Config, ConfigError
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.compare import Arm, Setting
from lib_sticky.lab.comparing import Comparing, picture_key
from lib_sticky.lab.manifest import NAME, Manifest
from lib_sticky.lab.probing import Probe, matched_scale, probe_steps
from lib_sticky.lab.sticky_arms import placebo
from lib_sticky.lab.sticky_arms import probes as probes_of
from lib_sticky.lab.sticky_arms import scale_of as arm_scale
from lib_sticky.lab.written import write_new
from lib_sticky.studio import compare as command
from lib_sticky.studio import models
from lib_sticky.studio.arms import Comparison, folder_name, planned, swept
from lib_sticky.studio.comparing import StudioMaker, one_model, reported
from lib_sticky.studio.conditions import negative_of
from lib_sticky.studio.job import Job, JobError
from lib_sticky.studio.judging import wanted
from lib_sticky.studio.paste import job_of, of_picture
from lib_sticky.studio.probe import EmptyPrompt
from lib_sticky.studio.sampling import sample

BASE = Job(prompt="a red circle", sampler="Euler", seed=5, batch=2, config=Config(terms="blurry, bad hands"))


def plan(host: Diffusers, base: Job = BASE, seeds: int = 3, cfgs: tuple[float, ...] = (7.0,)) -> Comparison:
    return planned(host, base, seeds, cfgs, [4], [(0, 0)])


def running(host: Diffusers, comparison: Comparison, folder: Path, **options: Any) -> Comparing:
    return Comparing(comparison.plan, StudioMaker(one_model(host), comparison, "tiny", **options), folder)


def made(host: Diffusers, comparison: Comparison, folder: Path, **options: Any) -> Manifest:
    for _ in running(host, comparison, folder, **options).run():
        pass
    return Manifest(folder)


def report(host: Diffusers, comparison: Comparison, folder: Path) -> Path:
    return reported(StudioMaker(one_model(host), comparison, "tiny"), folder, "command")


def scale_of(manifest: Manifest, comparison: Comparison, setting: Setting, arm: Arm) -> float:
    return arm_scale(manifest, comparison.plan, setting, arm)


def probes(manifest: Manifest, comparison: Comparison, setting: Setting) -> list[Probe]:
    return probes_of(manifest, comparison.plan, setting)


@pytest.fixture(scope="module")
def finished(sd1: Diffusers, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    """A finished comparison with its report; tests only read it."""
    comparison, folder = plan(sd1), tmp_path_factory.mktemp("finished")
    made(sd1, comparison, folder)
    report(sd1, comparison, folder)
    return comparison, folder


def pixels(folder: Path, comparison: Comparison, arm: Arm, seed: int) -> np.ndarray:
    entry = Manifest(folder).entry(picture_key(comparison.settings[0], arm, seed))
    return np.asarray(Image.open(folder / entry.file))


def test_the_placebo_is_as_long_as_the_terms(sd1: Diffusers) -> None:
    for terms in ("bad", "blurry, bad hands", "(awful:1.3), [artifacting], jpeg-artifacts BREAK text"):
        plain = terms.replace("(", "").replace(":1.3)", "").replace("[", "").replace("]", "").replace("BREAK", "")
        found = placebo(terms, sd1.count_tokens)
        assert sd1.count_tokens(found) == sd1.count_tokens(plain)
        assert not set(found.split()) & {"bad", "blurry", "awful"}


def test_the_negative_of_each_arm(sd1: Diffusers) -> None:
    comparison = plan(sd1)
    setting = comparison.settings[0]
    texts = {arm: negative_of(comparison.job(setting, arm, 7.0)) for arm in Arm}
    assert texts == {
        Arm.EMPTY: "",
        Arm.TERMS: "blurry, bad hands",
        Arm.STICKY: "a red circle, blurry, bad hands",
        Arm.PLACEBO: f"a red circle, {comparison.arms.placebo}",
        Arm.MATCHED: "",
    }


def test_terms_on_an_interval_are_on_it_in_every_arm_that_has_them(sd1: Diffusers) -> None:
    comparison = plan(sd1, replace(BASE, config=replace(BASE.config, start=0.25)))
    setting = comparison.settings[0]
    assert negative_of(comparison.job(setting, Arm.TERMS, 7.0)) == "[:blurry, bad hands:0.25]"
    sticky, filler = (negative_of(comparison.job(setting, arm, 7.0)) for arm in (Arm.STICKY, Arm.PLACEBO))
    assert "blurry, bad hands:0.25]" in sticky
    assert filler == sticky.replace("blurry, bad hands", comparison.arms.placebo)


@pytest.mark.parametrize(
    ("base", "field"),
    [
        (replace(BASE, prompt=" "), "prompt"),
        (replace(BASE, config=replace(BASE.config, terms="")), "terms"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(sd1: Diffusers, base: Job, field: str) -> None:
    with pytest.raises((JobError, ConfigError)) as caught:
        plan(sd1, base)
    assert caught.value.field == field


def test_a_comparison_needs_a_seed_and_two_steps(sd1: Diffusers) -> None:
    with pytest.raises(JobError, match="too few"):
        plan(sd1, seeds=0)
    with pytest.raises(JobError, match="too few for a comparison"):
        planned(sd1, BASE, 1, [7.0], [1], [(0, 0)])


def test_sweeps_multiply_and_repeats_do_not(sd1: Diffusers) -> None:
    comparison = planned(sd1, BASE, 2, [7.0, 20.0, 7.0], [4, 6], [(0, 0), (24, 16)])
    assert len(comparison.settings) == 8
    assert comparison.plan.pictures == 8 * 5 * 2


def test_every_arm_has_every_seed_with_its_infotext(finished: tuple[Comparison, Path]) -> None:
    comparison, folder = finished
    manifest = Manifest(folder)
    for arm in Arm:
        for seed in (5, 6, 7):
            entry = manifest.matching(picture_key(comparison.settings[0], arm, seed))
            assert entry is not None
            scale = scale_of(manifest, comparison, comparison.settings[0], arm)
            job = replace(comparison.job(comparison.settings[0], arm, scale), seed=seed, batch=1)
            again = job if job.config.enabled else replace(job, config=Config())
            assert job_of(of_picture(folder / entry.file)) == again


def test_a_picture_is_made_again_from_its_infotext(sd1: Diffusers, finished: tuple[Comparison, Path]) -> None:
    comparison, folder = finished
    entry = Manifest(folder).entry(picture_key(comparison.settings[0], Arm.PLACEBO, 6))
    *_, last = sample(sd1, job_of(of_picture(folder / entry.file)))
    picture = sd1.pictures(last.latents)[0].astype(int)
    assert np.abs(picture - np.asarray(Image.open(folder / entry.file)).astype(int)).max() <= 1


def test_at_cfg_1_all_arms_are_one_picture(sd1: Diffusers, tmp_path: Path) -> None:
    comparison = plan(sd1, seeds=1, cfgs=(1.0,))
    made(sd1, comparison, tmp_path)
    first = pixels(tmp_path, comparison, Arm.EMPTY, 5)
    for arm in Arm:
        assert (pixels(tmp_path, comparison, arm, 5) == first).all()
    report(sd1, comparison, tmp_path)


def test_the_arms_differ_above_cfg_1(finished: tuple[Comparison, Path]) -> None:
    comparison, folder = finished
    seen = {pixels(folder, comparison, arm, 5).tobytes() for arm in Arm}
    assert len(seen) == len(Arm)


def test_model_calls_are_the_steps_and_the_probes(finished: tuple[Comparison, Path]) -> None:
    _, folder = finished
    manifest = Manifest(folder)
    # 3 seeds in batches of 2 are 2 batches; 5 arms of 4 steps each; the sticky one is probed.
    assert sum(manifest.notes("calls")) == 2 * 5 * 4
    assert sum(manifest.notes("probes")) == 2 * len(probe_steps(4))


def test_filmstrips_and_metrics_make_no_model_call(
    sd1: Diffusers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_calls(sd1, monkeypatch)
    comparison = plan(sd1, seeds=2)
    manifest = made(sd1, comparison, tmp_path)
    assert len(calls) == sum(manifest.notes("calls")) + sum(manifest.notes("probes"))


def count_calls(host: Diffusers, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    real = host.denoised

    def counting(x: Any, *rest: Any) -> Any:
        calls.append(len(x))
        return real(x, *rest)

    monkeypatch.setattr(host, "denoised", counting)
    return calls


def test_what_is_there_is_not_made_again(
    sd1: Diffusers, finished: tuple[Comparison, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison, folder = finished
    before = contents(folder)
    calls = count_calls(sd1, monkeypatch)
    made(sd1, comparison, folder)
    assert report(sd1, comparison, folder) == folder / "report.html"
    assert calls == []
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_interrupted_comparison_goes_on_and_ends_the_same(
    sd1: Diffusers, finished: tuple[Comparison, Path], tmp_path: Path
) -> None:
    comparison, whole = finished
    run = running(sd1, comparison, tmp_path).run()
    for _ in range(14):
        next(run)
    run.close()
    kept = {name: data for name, data in contents(tmp_path).items() if name.endswith(".png")}
    assert len(kept) >= 3
    made(sd1, comparison, tmp_path)
    now = contents(tmp_path)
    assert all(now[name] == data for name, data in kept.items())
    for arm in Arm:
        for seed in (5, 6, 7):
            assert (pixels(tmp_path, comparison, arm, seed) == pixels(whole, comparison, arm, seed)).all()


def test_a_changed_or_deleted_picture_is_made_anew_beside_the_changed_one(sd1: Diffusers, tmp_path: Path) -> None:
    comparison = plan(sd1, seeds=2)
    manifest = made(sd1, comparison, tmp_path)
    first = report(sd1, comparison, tmp_path)
    changed, deleted = (
        tmp_path / manifest.entry(picture_key(comparison.settings[0], Arm.TERMS, seed)).file for seed in (5, 6)
    )
    Image.new("RGB", (16, 16)).save(changed)
    deleted.unlink()
    edited, written = changed.read_bytes(), first.read_bytes()
    manifest = made(sd1, comparison, tmp_path)
    assert changed.read_bytes() == edited
    for seed in (5, 6):
        assert manifest.matching(picture_key(comparison.settings[0], Arm.TERMS, seed)) is not None
    second = report(sd1, comparison, tmp_path)
    assert second.name == "report-2.html" and first.read_bytes() == written


def test_the_report_shows_every_picture_and_refuses_a_verdict(finished: tuple[Comparison, Path]) -> None:
    _, folder = finished
    text = (folder / "report.html").read_text(encoding="utf-8")
    files = [
        *(folder / "pictures").rglob("*.png"),
        *(folder / "filmstrips").glob("*.png"),
        *(folder / "grids").glob("*"),
    ]
    assert len(files) == 15 + 5 + 1
    for path in files:
        assert f'href="{path.relative_to(folder).as_posix()}"' in text
    assert "No verdict. Pictures in the smallest cell: 3" in text
    # 2 batches x 5 arms x 4 steps, and 2 batches x 2 probed steps.
    assert "44 in all: 40 to make the pictures, 4 with the empty prompt" in text
    assert "0 for filmstrips and metrics" in text
    with (folder / "differences.csv").open(encoding="utf-8", newline="") as file:
        assert {line["verdict"] for line in csv.DictReader(file)} == {"too few pictures"}
    with (folder / "pictures.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 15
    with (folder / "steps.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 15 * 4


def test_the_matched_scale_pushes_as_far(finished: tuple[Comparison, Path]) -> None:
    comparison, folder = finished
    manifest = Manifest(folder)
    found = probes(manifest, comparison, comparison.settings[0])
    assert len(found) == 3 * len(probe_steps(4))
    scale = scale_of(manifest, comparison, comparison.settings[0], Arm.MATCHED)
    assert scale == round(1 + 6 * float(np.median([probe.ratio for probe in found])), 2)


def test_probing_the_empty_prompt_against_itself_is_one(sd1: Diffusers) -> None:
    """With an empty negative D_u is D_0: the ratio is 1 and alpha 0, on the very latents of the step."""
    comparison = plan(sd1)
    job = comparison.job(comparison.settings[0], Arm.EMPTY, 7.0)
    probe = EmptyPrompt(sd1, job)
    found = [each for moment in sample(sd1, job) for each in probe.see(moment)]
    assert len(found) == 2 * len(probe_steps(4))
    for each in found:
        assert each.ratio == pytest.approx(1.0, abs=1e-3)
        assert each.dilution == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("sampler", ["Euler a", "DPM++ 2M", "DDIM", "UniPC"])
def test_probing_sees_the_latents_of_its_step_with_every_sampler(sd1: Diffusers, sampler: str) -> None:
    comparison = planned(sd1, replace(BASE, sampler=sampler), 1, [7.0], [5], [(0, 0)])
    job = replace(comparison.job(comparison.settings[0], Arm.EMPTY, 7.0), batch=1)
    probe = EmptyPrompt(sd1, job)
    found = [each for moment in sample(sd1, job) for each in probe.see(moment)]
    assert found and all(each.ratio == pytest.approx(1.0, abs=1e-3) for each in found)


def test_a_scale_is_matched_at_the_median() -> None:
    assert matched_scale(20, [0.1, 0.3, 5.0]) == 6.7
    assert matched_scale(20, [0.0]) == 1.0
    assert matched_scale(60, [100.0]) == 60
    with pytest.raises(ValueError, match="no probe step"):
        matched_scale(7, [])


@pytest.mark.parametrize("steps", range(2, 60))
def test_probes_never_fall_on_the_first_step(steps: int) -> None:
    found = probe_steps(steps)
    assert found and all(2 <= step <= steps for step in found)


def test_filmstrips_by_the_vae(sd1: Diffusers, tmp_path: Path) -> None:
    comparison = plan(sd1, seeds=1)
    manifest = made(sd1, comparison, tmp_path, strips="vae")
    assert len(list((tmp_path / "filmstrips").glob("*.png"))) == len(Arm)
    assert list(manifest.notes("colour map")) == []


def test_what_judges_say_is_counted(sd1: Diffusers, tmp_path: Path) -> None:
    comparison = plan(sd1, seeds=2)
    made(sd1, comparison, tmp_path, judge=lambda pictures: [{"judged clean": True} for _ in pictures])
    report(sd1, comparison, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Judged clean: A0 100%" in text and "Blank: A0" in text


def test_several_models_are_compared_one_after_the_other(sd1: Diffusers, tmp_path: Path) -> None:
    opened: list[str] = []

    def open_model(name: str) -> Diffusers:
        opened.append(name)
        return sd1

    parts = [planned(sd1, BASE, 2, [7.0], [4], [(0, 0)], name) for name in ("parent a", "merged")]
    comparison = swept(parts)
    maker = StudioMaker(open_model, comparison, "both")
    for _ in Comparing(comparison.plan, maker, tmp_path).run():
        pass
    assert list(dict.fromkeys(opened)) == ["parent a", "merged"]
    manifest = Manifest(tmp_path)
    one, other = (manifest.entry(picture_key(setting, Arm.STICKY, 5)) for setting in comparison.settings)
    assert one.file.split("/")[1] == "cfg7-4steps-16x16-parent-a-A2" and one.sha256 != other.sha256
    assert "Model: parent a" in one.about["infotext"] and "Model: merged" in other.about["infotext"]
    text = reported(maker, tmp_path, "command").read_text(encoding="utf-8")
    assert "CFG 7, 4 steps, 16x16, merged" in text and "parent a, CFG 7: A2 sticky" in text
    assert "Checkpoints: CFG 7, 4 steps, 16x16, A2 sticky" in text and "M1 is merged" in text
    with (tmp_path / "checkpoints.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["difference"] for line in lines} == {"0.0"}, "both names are of one model"
    assert {(line["arm"], line["reference"]) for line in lines} == {("M1", "M0")}


def test_the_folder_is_the_comparisons_own(sd1: Diffusers, tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    model.write_bytes(b"1")
    name = folder_name(plan(sd1), [model])
    assert name == folder_name(plan(sd1), [model])
    assert name.startswith("compare-a-red-circle-")
    others = [plan(sd1, seeds=4), plan(sd1, cfgs=(8.0,)), plan(sd1, replace(BASE, prompt="../a red  circle!"))]
    assert len({name, *(folder_name(other, [model]) for other in others)}) == 4
    assert all("/" not in folder_name(other, [model]) for other in others)
    model.write_bytes(b"22")
    assert folder_name(plan(sd1), [model]) != name


def test_nothing_is_written_over(tmp_path: Path) -> None:
    assert [write_new(tmp_path, "report.html", text).name for text in "abc"] == [
        "report.html", "report-2.html", "report-3.html",
    ]  # fmt: skip
    assert (tmp_path / "report.html").read_text() == "a"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report-2.html", "report-3.html", "report.html"]


def test_what_a_prompt_asks_for() -> None:
    assert wanted("two small red circles on a blue background") == (0, 0)
    assert wanted("golden heart, purple background, large") == (4, 2)
    assert wanted("three boxes") == (1, None)
    assert wanted("a red star and a blue cross on a black background") == (None, None)


@pytest.fixture
def shell(sd1: Diffusers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Flags of a small comparison whose model is the tiny one."""
    model = tmp_path / "tiny.safetensors"
    model.write_bytes(b"")
    monkeypatch.setattr(models, "open_model", lambda _: sd1)
    flags = ["--prompt", "a red circle", "--seeds", "1", "--cfg", "7", "--steps", "3", "--sampler", "Euler"]
    yield [*flags, "--model", str(model), "--out", str(tmp_path / "out")]


def test_the_command_prints_its_report_and_finds_it_again(shell: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(shell) == 0
    first = capsys.readouterr()
    assert Path(first.out.strip()).is_file()
    assert "picture 5 of 5" in first.err
    assert command.main(shell) == 0
    assert capsys.readouterr().out == first.out


def test_an_interrupt_is_said_and_what_was_made_stays(
    shell: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = Comparing.run

    def interrupted(self: Comparing) -> Iterator[Any]:
        for number, event in enumerate(real(self)):
            if number == 7:
                raise KeyboardInterrupt
            yield event

    with monkeypatch.context() as patched:
        patched.setattr(Comparing, "run", interrupted)
        assert command.main(shell) == 130
    assert "the same command goes on" in capsys.readouterr().err
    log = next((tmp_path / "out").glob(f"*/{NAME}")).read_text(encoding="utf-8")
    assert sum("file" in json.loads(line) for line in log.splitlines()) >= 2
    assert command.main(shell) == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--seed", "-1"], "--seed: a comparison needs seeds"),
        (["--cfg", "99"], "--cfg: 99"),
        (["--terms", ""], "--terms: are empty"),
        (["--start", "2"], "--start: 2.0 is outside"),
        (["--size", "large"], "no size; write it as 512x768"),
        (["--size", "100x100"], "no multiple of 8"),
        (["--seeds", "0"], "--seeds: 0 is too few"),
        (["--prompt", ""], "--prompt: is empty"),
    ],
)
def test_a_bad_flag_is_named(shell: list[str], flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        command.main([*shell, *flags])
    assert left.value.code == 2
    assert said in capsys.readouterr().err
