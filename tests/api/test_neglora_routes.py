"""Wrong pictures, training and comparing over REST: what is made, started, refused, cancelled and gone on with."""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from lib_sticky.api import neglora_routes
from lib_sticky.api.job_queue import JobQueue
from lib_sticky.api.neglora_orders import COMPARE, TRAIN, Compare, Shelf, Train, comparison, training
from lib_sticky.api.programs import ROOT, Programs, studio_interpreter
from lib_sticky.api.wrong_jobs import WrongPictures
from lib_sticky.config import Config, ConfigError
from lib_sticky.lab.dataset import examples
from lib_sticky.studio.neglora import compare, train
from tests.api.easel import Easel

URL = "/sticky/v1/neglora"
SET = {"name": "w", "words": "blurry, ugly", "cfg_from": 8, "cfg_to": 9, "steps": 3, "negative": "dull"}
SPEAKS = """#!{python}
import sys, time
try:
    print(*sys.argv[1:], flush=True)
    print("step 20 of 40: loss 0.5", file=sys.stderr, flush=True)
    time.sleep(60 if {waits} else 0)
except KeyboardInterrupt:
    print("cancelled; the state is kept", flush=True)
    sys.exit(130)
print("last words")
sys.exit({status})
"""


@pytest.fixture
def easel() -> Easel:
    return Easel()


@pytest.fixture
def wrong(easel: Easel, tmp_path: Path) -> Iterator[WrongPictures]:
    made = WrongPictures(easel, tmp_path / "sets")
    yield made
    made.close()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "sets", tmp_path / "loras")


def client(wrong: WrongPictures, shelf: Shelf, programs: Programs | None = None, **accounts: str) -> TestClient:
    app = FastAPI()
    neglora_routes.add(app, wrong, programs or Programs(lambda: None), shelf, accounts)
    return TestClient(app)


def ended(jobs: JobQueue[Any, Any], job_id: str, states: tuple[str, ...] = ("done", "failed", "cancelled")) -> Any:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        found = jobs.state(job_id)
        if found is not None and found.state in states:
            return found
        time.sleep(0.01)
    raise AssertionError(f"still {jobs.state(job_id)}")


def made(wrong: WrongPictures, shelf: Shelf, **changed: Any) -> Any:
    answer = client(wrong, shelf).post(f"{URL}/pictures", json={**SET, **changed})
    assert answer.status_code == 200, answer.text
    return ended(wrong, answer.json()["id"])


def test_a_set_is_the_commands_folder(wrong: WrongPictures, shelf: Shelf, easel: Easel, tmp_path: Path) -> None:
    done = made(wrong, shelf)
    assert (done.state, done.done, done.total) == ("done", 4, 4)
    assert [(config, list(seeds)) for config, seeds in easel.batches] == [(Config(), [seed]) for seed in (1, 2, 3, 4)]
    assert [(texts.positive, texts.negative, settings.cfg) for texts, settings in easel.asked] == [
        ("(blurry:1.46), ugly", "dull", 8), ("(blurry:1.46), ugly", "dull", 9),
        ("blurry, (ugly:1.46)", "dull", 8), ("blurry, (ugly:1.46)", "dull", 9),
    ]  # fmt: skip
    folder = tmp_path / "sets" / "w"
    told = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert told["settings"]["model sha256"] == "0a1b" and told["settings"]["cfg"] == [8, 9]
    assert [example.caption for example in examples(folder)] == ["wrong"] * 4
    answer = client(wrong, shelf).get(f"{URL}/pictures/{done.id}/contact-sheet")
    assert answer.headers["content-type"] == "image/png" and Image.open(folder / "contact-sheet.png").width > 2 * 128
    assert wrong.sets() == ["w"]


def test_a_cancelled_set_goes_on_where_it_stopped(wrong: WrongPictures, shelf: Shelf, easel: Easel) -> None:
    easel.gate = threading.Semaphore(2)
    web = client(wrong, shelf)
    job_id = web.post(f"{URL}/pictures", json=SET).json()["id"]
    while len(easel.batches) < 2:
        time.sleep(0.01)
    assert web.delete(f"{URL}/pictures/{job_id}").status_code == 200
    stopped = ended(wrong, job_id)
    assert (stopped.state, easel.interrupted) == ("cancelled", 1) and "2 pictures are kept" in stopped.message
    easel.gate = None
    assert made(wrong, shelf).state == "done"
    assert [list(seeds) for _, seeds in easel.batches] == [[1], [2], [3], [4]]
    other = made(wrong, shelf, seed=9)
    assert other.state == "failed" and "another seed" in other.message and len(easel.batches) == 4


def test_a_set_ends_where_another_model_is_loaded(wrong: WrongPictures, shelf: Shelf, easel: Easel) -> None:
    easel.models = ["paint", "ink"]
    found = made(wrong, shelf)
    assert found.state == "failed" and "ink after paint" in found.message
    assert found.done == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"wrods": "x"}, "nearest is 'words'"),
        ({"words": " , "}, "no word"),
        ({"name": "../x"}, "plain file name"),
        ({"name": ""}, "name"),
        ({"cfg_to": 3}, "below cfg_from"),
        ({"emphasis": "much"}, "emphasis"),
        ({"count": 0}, "count"),
        ({"count": 100, "cfg_step": 0.5, "words": "", "cfg_from": 1, "cfg_to": 30}, "too many"),
        ({"sampler": "Hand"}, "Euler"),
        ({"caption": " "}, "caption"),
        ({"pack": "none"}, "pack"),
    ],
)
def test_a_bad_order_is_refused_by_its_field(
    wrong: WrongPictures, shelf: Shelf, changed: dict[str, Any], told: str
) -> None:
    answer = client(wrong, shelf).post(f"{URL}/pictures", json={**SET, **changed})
    assert answer.status_code == 422 and told in answer.json()["detail"]
    assert wrong.states() == ()


def test_every_route_asks_for_a_password_where_the_api_does(wrong: WrongPictures, shelf: Shelf) -> None:
    web = client(wrong, shelf, me="secret")
    for method, path in (
        ("POST", "pictures"), ("GET", "pictures"), ("GET", "pictures/x"), ("DELETE", "pictures/x"),
        ("GET", "pictures/x/contact-sheet"), ("POST", "train"), ("POST", "compare"), ("GET", "programs"),
        ("GET", "programs/x"), ("DELETE", "programs/x"),
    ):  # fmt: skip
        assert web.request(method, f"{URL}/{path}", json={}).status_code == 401
        assert web.request(method, f"{URL}/{path}", json={}, auth=("me", "secret")).status_code != 401


def parsed(module: Any, arguments: tuple[str, ...]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    module.add_flags(parser)
    return parser.parse_args(list(arguments[2:]))


def test_the_commands_understand_what_they_are_told(wrong: WrongPictures, shelf: Shelf, tmp_path: Path) -> None:
    made(wrong, shelf)
    model = tmp_path / "a model.safetensors"
    body = {"set": "w", "name": "wr", "rank": 4, "rate": 0.5, "text_encoder": True, "sample_prompt": "-a cat"}
    program = training(body, shelf, model)
    found = parsed(train, program.arguments)
    assert program.arguments[:2] == ("neglora", "train")
    assert (found.data, found.out, found.model) == (
        str(tmp_path / "sets" / "w"), str(tmp_path / "sets" / "w" / "lora"), str(model),
    )  # fmt: skip
    assert (found.name, found.rank, found.rate, found.text_encoder, found.bf16) == ("wr", 4, 0.5, True, False)
    assert found.sample_prompt == "-a cat" and "'--sample-prompt=-a cat'" in program.command
    lora = tmp_path / "sets" / "w" / "lora" / "wr.safetensors"
    lora.parent.mkdir()
    lora.write_bytes(b"lora")
    body = {"set": "w", "name": "wr", "prompts": ["a", "--b"], "cfg": 3.5, "strength": 0.2}
    found = parsed(compare, comparison(body, shelf, model).arguments)
    assert (found.lora, found.prompt, found.cfg, found.strength) == (str(lora), ["a", "--b"], [3.5], 0.2)
    assert found.out == str(tmp_path / "sets" / "w")


def test_the_forms_defaults_are_the_commands() -> None:
    own, other = parsed(train, ("neglora", "train")), parsed(compare, ("neglora", "compare"))
    assert {name: getattr(Train(), name) for name in TRAIN} == {name: getattr(own, name) for name in TRAIN}
    told = {name: getattr(other, name) for name in COMPARE}
    assert {name: getattr(Compare(), name) for name in COMPARE} == {**told, "cfg": told["cfg"][0]}


@pytest.mark.parametrize(
    ("route", "body", "told"),
    [
        ("train", {"set": "nowhere"}, "no set"),
        ("train", {"set": "w", "rank": 0}, "rank"),
        ("train", {"set": "w", "size": 70}, "size"),
        ("train", {"set": "w", "stepz": 3}, "nearest is 'steps'"),
        ("train", {"set": "w", "name": "a/b"}, "plain file name"),
        ("train", {"set": "w"}, "python run.py neglora train"),
        ("compare", {"set": "w", "name": "no"}, "no LoRA"),
    ],
)
def test_what_cannot_be_started_is_refused(
    wrong: WrongPictures, shelf: Shelf, route: str, body: dict[str, Any], told: str
) -> None:
    made(wrong, shelf)
    answer = client(wrong, shelf).post(f"{URL}/{route}", json=body)
    assert answer.status_code == 422 and told in answer.json()["detail"]


def speaking(tmp_path: Path, *, waits: bool = False, status: int = 0) -> Programs:
    """Programs whose interpreter says its arguments and a step, and waits to be interrupted where asked."""
    script = tmp_path / "python"
    script.write_text(SPEAKS.format(python=sys.executable, waits=waits, status=status), encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return Programs(lambda: script)


@pytest.mark.skipif(os.name == "nt", reason="the interpreter is a script with a first line")
def test_a_program_runs_beside_and_its_lora_is_shelved_beside_others(
    wrong: WrongPictures, shelf: Shelf, tmp_path: Path
) -> None:
    made(wrong, shelf)
    (tmp_path / "sets" / "w" / "lora").mkdir()
    (tmp_path / "sets" / "w" / "lora" / "wrong.safetensors").write_bytes(b"new")
    (tmp_path / "loras").mkdir()
    (tmp_path / "loras" / "wrong.safetensors").write_bytes(b"another's")
    programs = speaking(tmp_path)
    answer = client(wrong, shelf, programs).post(f"{URL}/train", json={"set": "w"})
    found = ended(programs, answer.json()["id"])
    assert found.state == "done" and "<neglora:wrong-2:0.3>" in found.message
    assert (found.done, found.total) == (20, 40)
    assert "-m lib_sticky.studio neglora train" in " ".join(found.log)
    assert (tmp_path / "loras" / "wrong.safetensors").read_bytes() == b"another's"
    assert (tmp_path / "loras" / "wrong-2.safetensors").read_bytes() == b"new"
    again = client(wrong, shelf, programs).post(f"{URL}/train", json={"set": "w"})
    assert "wrong-2" in ended(programs, again.json()["id"]).message
    assert sorted(path.name for path in (tmp_path / "loras").iterdir()) == ["wrong-2.safetensors", "wrong.safetensors"]
    programs.close()


@pytest.mark.skipif(os.name == "nt", reason="the interpreter is a script with a first line")
@pytest.mark.parametrize("of_the_host", [signal.SIG_IGN, signal.default_int_handler], ids=["background", "foreground"])
def test_a_cancelled_program_keeps_its_state_and_a_failed_one_says_why(
    wrong: WrongPictures, shelf: Shelf, tmp_path: Path, of_the_host: Any, request: pytest.FixtureRequest
) -> None:
    before = signal.signal(signal.SIGINT, of_the_host)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    made(wrong, shelf)
    programs = speaking(tmp_path, waits=True)
    web = client(wrong, shelf, programs)
    job_id = web.post(f"{URL}/train", json={"set": "w"}).json()["id"]
    while not programs.state(job_id).done:  # type: ignore[union-attr]
        time.sleep(0.01)
    assert web.delete(f"{URL}/programs/{job_id}").status_code == 200
    found = ended(programs, job_id)
    assert (found.state, found.message) == ("cancelled", "cancelled; the state is kept")
    programs.close()
    failing = speaking(tmp_path, status=3)
    job_id = client(wrong, shelf, failing).post(f"{URL}/train", json={"set": "w"}).json()["id"]
    found = ended(failing, job_id)
    assert found.state == "failed" and "status 3: last words" in found.message
    failing.close()


def test_the_studios_environment_is_the_one_that_was_made() -> None:
    found = studio_interpreter()
    assert (found is not None) == (ROOT / ".venv" / ".installed-studio").is_file()


def test_without_an_environment_the_command_is_given(shelf: Shelf, wrong: WrongPictures, tmp_path: Path) -> None:
    made(wrong, shelf)
    program = training({"set": "w"}, shelf, tmp_path / "m.safetensors")
    with pytest.raises(ConfigError, match=r"python run\.py neglora train"):
        Programs(lambda: None).submit(program)
