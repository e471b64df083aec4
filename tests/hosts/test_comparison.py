"""A comparison in the place of a job, on a WebUI whose processing draws a grey picture for each seed and scale."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from lib_sticky.api.compare_jobs import Comparisons, Request
from lib_sticky.api.compare_run import run
from lib_sticky.config import Config
from lib_sticky.hosts import comparison_job, job, watch
from lib_sticky.hosts.webui import WebUI
from lib_sticky.lab.asked import Asked
from lib_sticky.lab.watching import Seen

STEPS = 4
OWN = slice(2, 4)


@dataclass
class Job:
    """A host's `p` before anything is sampled."""

    outpath_samples: str
    prompt: Any = "a red circle"
    negative_prompt: str = "typed"
    styles: list[str] = field(default_factory=list)
    seed: int = 5
    steps: int = STEPS
    cfg_scale: float = 3.0
    batch_size: int = 2
    n_iter: int = 3
    width: int = 16
    height: int = 16
    sampler_name: str = "Euler"
    override_settings: dict[str, Any] = field(default_factory=dict)
    extra_generation_params: dict[str, Any] = field(default_factory=dict)
    script_args: tuple[Any, ...] = (0, "another script's", {}, "ticket")

    def init(self) -> None:
        """Where the host begins to work on the job."""


class Processing:
    """Stands for `process_images`: what it was given, and when it is told to end."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []
        self.end_after = 1000

    def __call__(self, p: Any) -> Any:
        self.jobs.append(p)
        seen = watch.watched_job(p)
        assert seen is not None
        shape = (p.batch_size, 4, 2, 2)
        for step in range(1, STEPS + 1):
            cond, uncond = torch.full(shape, 1.0), torch.full(shape, 0.5)
            seen.take(Seen(step, STEPS, 1.0, cond, uncond, cond), lambda: torch.zeros(shape))
        if len(self.jobs) >= self.end_after:
            shared().state.interrupted = True
        pictures = [Image.new("RGB", (16, 16), (10 * (p.seed + i), int(p.cfg_scale), 90)) for i in range(p.batch_size)]
        for index, picture in enumerate(pictures):
            picture.putpixel((0, 0), (255, index, 0))
        return SimpleNamespace(images=pictures, infotexts=["text"] * len(pictures), index_of_first_image=0)


def shared() -> Any:
    return sys.modules["modules.shared"]


@pytest.fixture
def processing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Processing]:
    found = Processing()
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"model")
    names = {"model": SimpleNamespace(name="model.safetensors", filename=str(file))}
    state = SimpleNamespace(interrupted=False, skipped=False, stopping_generation=False, job_count=-1)
    state.interrupt = lambda: setattr(state, "interrupted", True)
    parts = {
        "shared": SimpleNamespace(state=state, opts=SimpleNamespace(data={"sd_model_checkpoint": "model"}), sd_model=1),
        "processing": SimpleNamespace(process_images=found),
        "sd_models": SimpleNamespace(get_closet_checkpoint_match=names.get),
        "launch_utils": SimpleNamespace(git_tag=lambda: "v1"),
    }
    package = types.ModuleType("modules")
    monkeypatch.setitem(sys.modules, "modules", package)
    for name, part in parts.items():
        monkeypatch.setitem(sys.modules, f"modules.{name}", part)
        monkeypatch.setattr(package, name, part, raising=False)
    yield found


class Host(WebUI):
    name = "fake"

    def count_tokens(self, text: str) -> int | None:
        return len(text.split())


def compare(p: Any, jobs: Comparisons | None = None, ticket: str = "", **asked: Any) -> None:
    fields = {**asdict(Config(terms="blurry, bad hands")), "filmstrip": "fast"}
    if not ticket:
        fields["compare"] = {"seeds": 3, "cfg": [7], **asked}
    run(p, Host(), jobs or Comparisons(), fields, ticket, OWN)


def test_every_arm_is_a_copy_of_the_job(processing: Processing, tmp_path: Path) -> None:
    p = Job(str(tmp_path))
    before = asdict(p)
    compare(p)
    assert asdict(p) == before
    made = [(each.negative_prompt, each.seed, each.batch_size, each.n_iter) for each in processing.jobs]
    assert made[:2] == [("", 5, 2, 1), ("", 7, 1, 1)]
    assert [each[0] for each in made[::2]] == ["", "", "blurry, bad hands", "", ""]
    arms = [each.script_args[OWN.start] for each in processing.jobs[::2]]
    assert [arm["enabled"] for arm in arms] == [False, True, False, True, False]
    assert arms[1]["terms"] == "blurry, bad hands" and arms[3]["terms"] == "the of and"
    assert {arm["filmstrip"] for arm in arms} == {"off"}
    assert all(each.script_args[1] == "another script's" and each.do_not_save_samples for each in processing.jobs)
    # |1 - 0.5| / |1 - 0| = 0.5: A4 is made at 1 + (7 - 1) / 2.
    assert [each.cfg_scale for each in processing.jobs[::2]] == [7, 7, 7, 7, 4]
    assert shared().state.job_count == 10


@pytest.mark.usefixtures("processing")
def test_the_job_itself_makes_nothing_and_shows_the_grid(tmp_path: Path) -> None:
    p = Job(str(tmp_path))
    compare(p)
    assert comparison_job.replaced(p) and p.n_iter == 0
    processed = SimpleNamespace(images=[], infotexts=["host's"], info="", comments="", index_of_first_image=0)
    comparison_job.show(p, processed)
    assert len(processed.images) == 1 and processed.infotexts == ["text"]
    folder = next((tmp_path / "sticky-compare").iterdir())
    assert str(folder / "report.html") in processed.comments
    assert len(list(folder.glob("pictures/*/*.png"))) == 15
    assert "fake v1" in (folder / "report.html").read_text(encoding="utf-8")


def test_an_interrupt_keeps_what_is_finished_and_the_next_goes_on(processing: Processing, tmp_path: Path) -> None:
    processing.end_after = 4
    jobs = Comparisons()
    job_id = jobs.expect(Request("job", Asked(3, (7.0,))))
    compare(Job(str(tmp_path)), jobs, job_id)
    state = jobs.state(job_id)
    assert state is not None and state.state == "cancelled" and "goes on" in state.message
    folder = next((tmp_path / "sticky-compare").iterdir())
    kept = {path: path.read_bytes() for path in folder.glob("pictures/*/*.png")}
    assert len(kept) == 5  # A0's 3, and A2's first batch; the interrupted one is thrown away.
    shared().state.interrupted = False
    processing.end_after, processing.jobs = 1000, []
    again = jobs.expect(Request("job", Asked(3, (7.0,))))
    compare(Job(str(tmp_path)), jobs, again)
    assert len(processing.jobs) == 7
    assert all(path.read_bytes() == data for path, data in kept.items())
    state = jobs.state(again)
    assert state is not None and (state.state, state.done, state.report) == ("done", 15, "report.html")


def test_cancelling_interrupts_from_within(processing: Processing, tmp_path: Path) -> None:
    jobs = Comparisons()
    job_id = jobs.expect(Request("job", Asked(3, (7.0,))))
    jobs.cancel(job_id)
    compare(Job(str(tmp_path)), jobs, job_id)
    assert len(processing.jobs) <= 1
    state = jobs.state(job_id)
    assert state is not None and state.state == "cancelled"


def test_a_ticket_is_good_for_one_job(processing: Processing, tmp_path: Path) -> None:
    jobs = Comparisons()
    job_id = jobs.expect(Request("job", Asked(1, (7.0,))))
    compare(Job(str(tmp_path)), jobs, job_id)
    again = Job(str(tmp_path))
    count = len(processing.jobs)
    compare(again, jobs, job_id)
    assert len(processing.jobs) == count and not comparison_job.replaced(again) and again.n_iter == 3


@pytest.mark.parametrize(
    ("job_fields", "asked", "field"),
    [
        ({"prompt": " "}, {}, "prompt"), ({"prompt": ["a", "b"]}, {}, "prompt"), ({"steps": 1}, {}, "steps"),
        ({}, {"seeds": 0}, "seeds"), ({}, {"checkpoints": ["none"]}, "checkpoints"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(
    processing: Processing, tmp_path: Path, job_fields: dict[str, Any], asked: dict[str, Any], field: str
) -> None:
    p = Job(str(tmp_path), **job_fields)
    compare(p, **asked)
    with pytest.raises(Exception, match=field) as caught:
        p.init()
    assert getattr(caught.value, "status_code", None) == 422
    assert processing.jobs == []


def test_without_being_asked_nothing_happens(processing: Processing, tmp_path: Path) -> None:
    p = Job(str(tmp_path))
    run(p, Host(), Comparisons(), asdict(Config(enabled=True)), "", OWN)
    assert not comparison_job.replaced(p) and processing.jobs == [] and not hasattr(p, job.ATTRIBUTE)
