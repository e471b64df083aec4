"""The page: it is laid out, its preview answers, and its runs say, save and cancel what they should."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio")
from fastapi.testclient import TestClient
from PIL import Image

from lib_sticky import config
from lib_sticky.api import neglora_orders
from lib_sticky.api.merge_jobs import Jobs
from lib_sticky.api.programs import Programs
from lib_sticky.api.untitled_runs import Runs
from lib_sticky.api.wrong_jobs import WrongPictures
from lib_sticky.config import Config
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.hosts.painter import Batch, Settings
from lib_sticky.presets import UNTITLED
from lib_sticky.studio import desk as desks
from lib_sticky.studio import job as jobs
from lib_sticky.studio import page
from lib_sticky.studio.desk import Desk
from lib_sticky.studio.job import Job
from lib_sticky.studio.painter import DeskPainter
from lib_sticky.studio.paste import job_of, of_picture
from lib_sticky.studio.png import infotext
from tests.api.shop import Shelf, half

JOB = Job("a red star", sampler="Euler", steps=3, width=16, height=16, seed=7, config=Config(enabled=True))


@pytest.fixture
def desk(tmp_path: Path, sd1: Diffusers, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(desks, "open_model", lambda _path: sd1)
    monkeypatch.setattr(desks, "chosen", lambda _path: Path("tiny.safetensors"))
    return Desk(tmp_path / "out")


@pytest.fixture
def client(desk: Desk, tmp_path: Path) -> Iterator[TestClient]:
    shelf = Shelf(tmp_path, loads=False)
    for name, value in (("a", 1.0), ("b", 3.0)):
        shelf.add(name, value)
    queue, runs = Jobs(shelf), Runs(DeskPainter(desk), tmp_path / "out")
    wrong, programs = WrongPictures(DeskPainter(desk), tmp_path / "out"), Programs(lambda: None)
    workshop = (wrong, programs, neglora_orders.Shelf(tmp_path / "out", None))
    with TestClient(page.app(desk, shelf, queue, runs, workshop)) as served:
        yield served
    for each in (queue, runs, wrong, programs):
        each.close()


def values(job: Job) -> list[object]:
    """What the page's components hold for `job`."""
    return [getattr(job, name) for name in jobs.DEFAULTS] + [getattr(job.config, name) for name in config.DEFAULTS]


def test_wrong_pictures_are_made_by_the_pages_model(client: TestClient, tmp_path: Path) -> None:
    body = {"name": "w", "words": "ugly", "cfg_to": 8, "steps": 2, "width": 16, "height": 16, "prompt": "a star"}
    job_id = client.post("/sticky/v1/neglora/pictures", json=body).json()["id"]
    give_up = time.monotonic() + 60
    while (found := client.get(f"/sticky/v1/neglora/pictures/{job_id}").json())["state"] in ("queued", "running"):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert (found["state"], found["done"]) == ("done", 1), found
    (path,) = (tmp_path / "out" / "w" / "pictures" / "1_wrong").glob("*.png")
    assert path.with_suffix(".txt").read_text(encoding="utf-8") == "wrong\n"
    assert of_picture(path).startswith("a star, (ugly:1.46)\nSteps: 2")


def test_the_page_is_served_and_its_preview_answers(client: TestClient, desk: Desk) -> None:
    assert "Sticky studio" in client.get("/").text
    body = {"prompt": "a cat", "negative_prompt": "", "cfg_scale": 20, "sticky": {"terms": "bad"}}
    found = client.post("/sticky/v1/preview", json=body).json()
    assert (found["negative"], found["tokens"]) == ("a cat, bad", None)
    desk.open_shipped()
    assert client.post("/sticky/v1/preview", json=body).json()["tokens"] == 4
    assert client.get("/sticky/v1/version").json()["host"] == "studio"


def test_the_page_merges_in_its_own_folder_by_tab_and_by_route(client: TestClient) -> None:
    components = client.get("/config").json()["components"]
    (models,) = [each for each in components if each["props"].get("elem_id") == "sticky_merge_models"]
    assert [choice[0] for choice in models["props"]["choices"]] == ["a.safetensors", "b.safetensors"]
    assert "sticky_merge_poll" in client.get("/").text  # The script that keeps the queue moving.
    assert client.post("/sticky/v1/merge/plan", json={"recipe": half(), "name": "c"}).json()["ready"]


def test_the_preview_and_its_buttons_find_their_elements(client: TestClient) -> None:
    elements = {component["props"].get("elem_id") for component in client.get("/config").json()["components"]}
    assert {"txt2img_prompt", "txt2img_neg_prompt", "txt2img_cfg_scale", "txt2img_steps"} <= elements
    assert {f"txt2img_sticky_{item}" for item in ("preview", "cfg20", *config.DEFAULTS)} <= elements


def test_a_run_counts_its_steps_then_saves(desk: Desk) -> None:
    states = list(desk.run(JOB, "", compare=False))
    assert [state.status.count("<progress") for state in states] == [0, 1, 1, 1, 0]
    assert "value='3' max='3'" in states[3].status
    (file,) = states[-1].files or ()
    assert of_picture(Path(file)) == states[-1].infotexts[0] == infotext(JOB, 0, "tiny")


def test_a_comparison_shows_the_sheet_first(desk: Desk) -> None:
    states = list(desk.run(JOB, "", compare=True))
    assert "value='6' max='6'" in states[-2].status
    names = [Path(file).name for file in states[-1].files or ()]
    assert names == ["00003-7-compare.png", "00001-7.png", "00002-7.png"]
    assert [job_of(text).config.enabled for text in states[-1].infotexts] == [True, False, True]


def test_what_acted_is_told_with_the_pictures_and_not_without_techniques(desk: Desk) -> None:
    *going, done = desk.run(replace(JOB, config=Config(pag=1.0)), "", compare=True)
    assert "<td>PAG</td><td>1-3 (3 of 3)</td><td></td>" in page._updates(done)[-1]
    assert all(page._updates(state)[-1] == page.gr.update() for state in going)
    assert page._updates(list(desk.run(JOB, "", compare=False))[-1])[-1] == ""


def test_a_cancelled_run_saves_nothing(desk: Desk) -> None:
    running = desk.run(JOB, "", compare=False)
    for _ in range(3):
        next(running)
    running.close()
    assert not desk.out.exists()
    assert list(desk.run(JOB, "", compare=False))[-1].files


def test_a_failure_is_said_and_the_next_run_works(desk: Desk, sd1: Diffusers, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("out of <memory>")

    with monkeypatch.context() as patched:
        patched.setattr(sd1.pipe.unet, "forward", fail)
        said = list(desk.run(JOB, "", compare=False))[-1].status
    assert "out of &lt;memory&gt;" in said
    assert "role='alert'" in said
    assert list(desk.run(JOB, "", compare=False))[-1].files


def test_a_model_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    states = list(Desk(tmp_path).run(JOB, str(tmp_path / "none.safetensors"), compare=False))
    assert "there is no file or folder" in states[-1].status


def test_values_of_the_page_become_a_job() -> None:
    assert page._job(values(JOB)) == JOB
    floats = [
        float(value) if isinstance(value, int) and not isinstance(value, bool) else value for value in values(JOB)
    ]
    assert page._job(floats) == JOB


def test_an_empty_number_is_named() -> None:
    broken = values(JOB)
    broken[list(jobs.DEFAULTS).index("seed")] = None
    with pytest.raises(jobs.JobError, match="Seed is empty"):
        page._job(broken)


def test_an_infotext_fills_the_page() -> None:
    status, *filled = page._used(infotext(JOB, 0, "m"))
    assert filled == values(JOB)
    assert "role='alert'" not in status
    assert "role='alert'" in page._used("a\nSteps: many, Seed: 1, CFG scale: 7")[0]


def test_both_buttons_that_use_an_infotext_fill_the_first_tab_and_show_it(client: TestClient) -> None:
    served = client.get("/config").json()
    names = {component["id"]: component["props"].get("elem_id") for component in served["components"]}
    for button in ("studio_use_infotext", "sticky_untitled_sent"):
        (wired,) = [each for each in served["dependencies"] if names[each["targets"][0][0]] == button]
        filled = [names[each] for each in wired["outputs"]]
        assert filled[:3] == ["studio_tabs", "studio_status", "txt2img_prompt"]
        assert filled[3:] == [
            *(f"txt2img_{page._ELEM_IDS.get(name, name)}" for name in list(jobs.DEFAULTS)[1:]),
            *(f"txt2img_sticky_{name}" for name in config.DEFAULTS),
        ]
    labels = [component["props"].get("value") for component in served["components"]]
    assert "Send seed to Pictures" in labels


def test_a_picture_sent_from_the_untitled_tab_is_made_again(desk: Desk) -> None:
    settings = Settings(sampler="Euler", steps=3, cfg=3.0, width=16, height=16)
    painted = DeskPainter(desk).paint(Batch(settings, UNTITLED["U3"], range(7, 8)), lambda: False)
    assert painted is not None
    button = Button()
    page._Settings(["tabs", "status"]).bind(button, "text")
    tabs, _, *filled = button.use(f"a prompt that stays\n{painted.infotexts[0]}")
    assert tabs["selected"] == "Pictures"
    assert filled[:1] == ["a prompt that stays"]
    (file,) = list(desk.run(page._job(filled), "", compare=False))[-1].files or ()
    with Image.open(file) as again:
        assert again.tobytes() == painted.pictures[0].tobytes()


class Button:
    """Keeps what is to be done when it is clicked."""

    def click(self, use: Any, *_args: Any, **_kwargs: Any) -> None:
        self.use = use


def test_a_taken_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    taken = page._listening("127.0.0.1", 0)
    taken.listen()
    with pytest.raises(SystemExit):
        page.main(["--port", str(taken.getsockname()[1]), "--no-browser"])
    taken.close()
    assert "--port" in capsys.readouterr().err
