"""`neglora make|train|compare` on models of random weights, from the first picture to the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.hosts.diffusers_loras import pipe_text_places
from lib_sticky.lab.dataset import Example, examples
from lib_sticky.lora.branch import branch_of
from lib_sticky.lora.load import Strong, branches_of
from lib_sticky.lora.places import unet_file_places, unet_places
from lib_sticky.studio.neglora.command import main
from lib_sticky.studio.neglora.train import Plan
from lib_sticky.studio.neglora.training import Run

FEW = ("--words", "blurry, ugly", "--cfg", "2", "5", "--steps", "2", "--width", "16", "--height", "16")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def saved(host: Diffusers, folders: Path, name: str) -> str:
    if not (folders / name).is_dir():
        host.pipe.save_pretrained(str(folders / name))
    return str(folders / name)


@pytest.fixture
def model(sd1: Diffusers, folders: Path) -> str:
    return saved(sd1, folders, "sd1")


@pytest.fixture
def model_xl(sdxl: Diffusers, folders: Path) -> str:
    return saved(sdxl, folders, "sdxl")


def pictures(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def test_make_writes_what_trainers_want_and_goes_on_where_it_stopped(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["make", *FEW, "--model", model, "--out", str(tmp_path)]
    assert main(command) == 0
    told = pictures(tmp_path)
    assert [(row["word"], row["cfg"], row["seed"]) for row in told["pictures"]] == [
        ("blurry", 2, 1), ("blurry", 5, 2), ("ugly", 2, 3), ("ugly", 5, 4),
    ]  # fmt: skip
    assert told["pictures"][0]["prompt"] == "(blurry:1.46), ugly"
    assert told["settings"]["words"] == ["blurry", "ugly"] and told["settings"]["steps"] == 2
    found = examples(tmp_path)
    assert [example.caption for example in found] == ["wrong"] * 4
    assert {example.path.parent.name for example in found} == {"1_wrong"}
    assert Image.open(tmp_path / "contact-sheet.png").width > 2 * 128
    before = {example.path: example.path.read_bytes() for example in found}
    found[2].path.unlink()
    capsys.readouterr()
    assert main(command) == 0
    assert "picture 3 of 4" not in capsys.readouterr().err.replace("picture 4 of 4", "")
    again = {example.path.name[6:]: example.path for example in examples(tmp_path)}
    for path, content in before.items():
        same = Image.open(again[path.name[6:]])
        assert path == found[2].path or path.read_bytes() == content
        assert same.size == (16, 16)


def test_make_refuses_a_folder_of_other_settings_and_bad_flags(model: str, tmp_path: Path, capsys: Any) -> None:
    command = ["make", *FEW, "--model", model, "--out", str(tmp_path)]
    assert main(command) == 0
    for extra, told in (
        (["--seed", "9"], "made with another seed"),
        (["--words", " , "], "--words"),
        (["--count", "0"], "--count"),
        (["--cfg", "99"], "outside"),
    ):
        with pytest.raises(SystemExit):
            main([*command, *extra])
        assert told in capsys.readouterr().err


def plan(**changed: Any) -> Plan:
    from lib_sticky.lora.train import Pace

    pace = Pace(steps=changed.pop("steps", 4), batch=2, rate=1e-2, seed=3)
    values = {
        "name": "wrong", "rank": 2, "alpha": 1.0, "pace": pace, "text_encoder": False, "size": 64, "bf16": False,
        "checkpointing": False, "sample_every": 0, "sample_prompt": "", "save_every": 100,
    }  # fmt: skip
    return Plan(**{**values, **changed})


def data(folder: Path) -> Sequence[Example]:
    found: list[Example] = []
    for index in range(3):
        draw = np.random.default_rng(index)
        picture = Image.fromarray(draw.integers(0, 256, (24, 40, 3), dtype=np.uint8))
        path = folder / f"{index}.png"
        picture.save(path)
        found.append(Example(path, "wrong" if index else "very wrong"))
    return found


def trained(model: str, folder: Path, **changed: Any) -> Run:
    run = Run.begin(Path(model), data(folder), plan(**changed), folder / "out")
    list(run.steps())
    return run


@pytest.mark.parametrize("text_encoder", [False, True])
def test_an_interrupted_training_goes_on_to_the_same_losses(model: str, tmp_path: Path, text_encoder: bool) -> None:
    (tmp_path / "whole").mkdir()
    whole = trained(model, tmp_path / "whole", text_encoder=text_encoder)
    stopped = Run.begin(Path(model), data(tmp_path), plan(text_encoder=text_encoder), tmp_path / "out")
    steps = stopped.steps()
    first = [next(steps), next(steps)]
    stopped.keep()
    assert first == whole.trainer.losses[:2]
    went_on = trained(model, tmp_path, text_encoder=text_encoder)
    assert went_on.trainer.losses == whole.trainer.losses
    one, other = load_file(whole.finish()), load_file(went_on.finish())
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    assert any(key.startswith("lora_te_") for key in one) == text_encoder
    assert (tmp_path / "out" / "loss.png").is_file()


def test_a_run_with_other_settings_is_refused(model: str, tmp_path: Path) -> None:
    trained(model, tmp_path, steps=1).keep()
    with pytest.raises(ValueError, match="another rank"):
        Run.begin(Path(model), data(tmp_path), plan(rank=3), tmp_path / "out")


def test_training_lowers_the_loss_on_its_own_pictures(model: str, tmp_path: Path) -> None:
    losses = trained(model, tmp_path, steps=30).trainer.losses
    assert sum(losses[-10:]) < sum(losses[:10])


@pytest.mark.parametrize("kind", ["sd1", "sdxl"])
def test_the_file_has_kohyas_keys_and_does_what_was_trained(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    model = request.getfixturevalue("model" if kind == "sd1" else "model_xl")
    run = trained(model, tmp_path, steps=2, text_encoder=True, checkpointing=True)
    path = run.finish()
    with safe_open(path, "pt") as opened:
        metadata, keys = opened.metadata(), set(opened.keys())
    assert metadata["ss_network_module"] == "networks.lora" and metadata["ss_network_dim"] == "2"
    assert metadata["ss_base_model_version"] == {"sd1": "sd_v1", "sdxl": "sdxl_base_v1-0"}[kind]
    first = {
        "sd1": "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
        "sdxl": "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q",
    }[kind]
    assert {f"{first}.lora_up.weight", f"{first}.lora_down.weight", f"{first}.alpha"} <= keys
    assert any(key.startswith({"sd1": "lora_te_", "sdxl": "lora_te2_"}[kind]) for key in keys)
    places = {**unet_places(run.host.pipe.unet), **pipe_text_places(run.host.pipe)}
    assert len(branches_of([Strong(path, 1.0)], places)) == len(run.trainer.adapters) == len(keys) / 3
    layers = {**unet_file_places(run.host.pipe.unet, ldm=kind != "sd1"), **pipe_text_places(run.host.pipe)}
    for name, adapter in run.trainer.adapters.items():
        layer: Any = layers[name]
        x = torch.randn(2, layer.weight.shape[1], *[3] * (layer.weight.ndim - 2))
        module = {key: value.float() for key, value in adapter.tensors(name).items()}
        branch = branch_of({key.partition(".")[2]: value for key, value in module.items()}, layer, 1.0, name)
        torch.testing.assert_close(branch(x), adapter(x), rtol=1e-2, atol=1e-3)


def test_train_writes_samples_and_a_configuration_for_kohya(model: str, tmp_path: Path, capsys: Any) -> None:
    tomllib = pytest.importorskip("tomllib")
    (tmp_path / "data").mkdir()
    data(tmp_path / "data")
    command = ["train", "--data", str(tmp_path / "data"), "--caption", "wrong", "--model", model, "--size", "64"]
    command += ["--steps", "2", "--batch", "1", "--sample-every", "2", "--out", str(tmp_path / "out"), "--bf16"]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "wrong.safetensors")
    assert (tmp_path / "out" / "samples" / "step-000002.png").is_file()
    told = tomllib.loads((tmp_path / "out" / "kohya.toml").read_text())
    assert told["network_module"] == "networks.lora" and told["mixed_precision"] == "bf16"
    subsets = tomllib.loads(Path(told["dataset_config"]).read_text())["datasets"][0]["subsets"]
    assert subsets == [
        {"image_dir": str((tmp_path / "data").resolve()), "class_tokens": "wrong", "num_repeats": 1}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--data", "nowhere"], "holds no pictures"),
        (["--rank", "0"], "--rank"),
        (["--size", "70"], "no multiple of 64"),
    ],
)
def test_train_refuses_what_it_cannot_use(tmp_path: Path, capsys: Any, arguments: list[str], told: str) -> None:
    with pytest.raises(SystemExit):
        main(["train", *arguments, "--out", str(tmp_path)])
    assert told in capsys.readouterr().err


def test_compare_makes_five_arms_and_a_report_once(model: str, tmp_path: Path, capsys: Any, sd1: Diffusers) -> None:
    del sd1
    lora = trained(model, tmp_path, steps=1).finish()
    command = ["compare", "--lora", str(lora), "--prompt", "a circle", "--prompt", "a star", "--pictures", "3"]
    command += ["--steps", "2", "--model", model, "--out", str(tmp_path / "compare")]
    assert main(command) == 0
    report = Path(capsys.readouterr().out.strip())
    text = report.read_text(encoding="utf-8")
    assert "LoRA on the negative side" in text and "No verdict" in text
    folders = sorted(path.name for path in (report.parent / "pictures").iterdir())
    assert [name[-2:] for name in folders] == ["N0", "N1", "N2", "N3", "N4"]
    made = {name: sorted((report.parent / "pictures" / name).iterdir()) for name in folders}
    assert {len(files) for files in made.values()} == {3}
    assert "| blank | N4 the word, LoRA on the negative side |" in (report.parent / "table.md").read_text()
    assert main(command) == 0
    assert {name: sorted((report.parent / "pictures" / name).iterdir()) for name in folders} == made


def test_compare_wants_a_lora_and_a_prompt(model: str, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--lora", str(tmp_path / "no.safetensors")])
    assert "neglora train" in capsys.readouterr().err
    (tmp_path / "x.safetensors").write_bytes(b"")
    with pytest.raises(SystemExit):
        main(["compare", "--lora", str(tmp_path / "x.safetensors"), "--model", model])
    assert "--prompt" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["compare", "--lora", str(tmp_path / "x.safetensors"), "--model", model, "--prompt", "a", "--steps", "2"])
    assert "x.safetensors" in capsys.readouterr().err
