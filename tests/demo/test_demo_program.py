"""The training program from nothing to a file that opens, with a few steps of each stage."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from safetensors import safe_open  # noqa: E402

from lib_sticky.lab.demo import train, train_unet  # noqa: E402
from lib_sticky.lab.demo.examples import chunk_scenes  # noqa: E402
from lib_sticky.studio.checkpoint import load_sd  # noqa: E402

SHORT = [
    "--encoder-chunks", "1", "--encoder-steps", "2", "--text-steps", "2", "--chunks", "1", "--decoder-steps", "5",
    "--steps", "3", "--window-steps", "1", "--finish-steps", "2", "--batch", "4",
]  # fmt: skip
MADE_BEFORE_IT_IS_JUDGED = ("encoder", "text", "latents", "decoder", "unet", "finish", "export")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    for stage in MADE_BEFORE_IT_IS_JUDGED:
        assert train.main(["--out", str(folder), "--stage", stage, *SHORT]) == 0
    return folder


def test_the_stages_make_a_file_that_opens(trained: Path) -> None:
    target = trained / "sticky-demo.safetensors"
    with safe_open(target, "pt") as file:
        told = file.metadata()
    assert (told["unet_steps"], told["finish_steps"]) == ("3", "2")
    finished = torch.load(trained / "finish.pt", weights_only=True)["averaged"]
    for found, wanted in zip(load_sd(target).unet.parameters(), finished, strict=True):
        assert torch.equal(found, wanted.half().float())


def test_finishing_begins_with_the_average_of_what_came_before_and_goes_on_with_its_own(trained: Path) -> None:
    (trained / "finish.pt").unlink()
    before = torch.load(trained / "unet.pt", weights_only=True)["averaged"]
    again = ["--out", str(trained), "--stage", "finish", *SHORT]
    train.main([*again, "--finish-rate", "0"])
    unmoved = torch.load(trained / "finish.pt", weights_only=True)
    assert unmoved["done"] == 2
    assert all(torch.equal(a, b) for a, b in zip(unmoved["master"], before, strict=True))
    train.main([*again, "--finish-rate", "1e-3", "--finish-steps", "3"])
    moved = torch.load(trained / "finish.pt", weights_only=True)
    assert moved["done"] == 3
    assert not all(torch.equal(a, b) for a, b in zip(moved["master"], before, strict=True))


def test_finishing_learns_from_the_calmer_pictures_of_every_family() -> None:
    scenes = [scene for number in range(4) for scene in chunk_scenes(0, number)]
    rows = train_unet.rows_up_to(1.0, scenes)
    assert {scenes[row].family for row in rows} == {"objects", "pair", "landscape", "lettering"}
    assert max(scenes[row].vivid for row in rows) <= 1.0
    assert min(scene.vivid for number, scene in enumerate(scenes) if number not in set(rows)) > 1.0
    assert len(rows) / len(scenes) == pytest.approx(1 / 3, abs=0.08)
