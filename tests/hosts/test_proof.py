"""What a job shows beside its pictures, on a host with no model."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from lib_sticky.config import Config
from lib_sticky.hosts import proof, watch
from lib_sticky.hosts.webui import WebUI
from lib_sticky.infotext import FEELS_KEY
from lib_sticky.lab.watching import Seen

SHAPE = (2, 4, 4, 4)


@dataclass
class Job:
    """A host's `p` after its first batch."""

    cfg_scale: float = 7.0
    iteration: int = 0
    seeds: list[int] = field(default_factory=lambda: [5, 6])
    extra_generation_params: dict[str, Any] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def comment(self, text: str) -> None:
        self.said.append(text)

    def save_samples(self) -> bool:
        return False


def sampled(config: Config, uncond: float | None = 0.5) -> Job:
    """A job whose every prediction is flat: D_c is 1, D_u as given, D_0 is 0."""
    p = Job()
    proof.begin(p, config)
    seen = watch.watched_job(p)
    for step in range(1, 11) if seen else ():
        away = None if uncond is None else torch.full(SHAPE, uncond)
        cond = torch.full(SHAPE, 1.0)
        seen.take(Seen(step, 10, 1.0 / step, cond, away, cond), lambda: torch.zeros(SHAPE))
    proof.after_batch(p, WebUI(), torch.rand(2, 3, 8, 8))
    return p


def shown(p: Job) -> SimpleNamespace:
    processed = SimpleNamespace(images=["one", "two"], infotexts=["first", "second"], index_of_first_image=0)
    proof.show(p, processed)
    return processed


def test_off_leaves_nothing() -> None:
    p = sampled(Config(enabled=True))
    assert not hasattr(p, watch.ATTRIBUTE) and not hasattr(p, proof.ATTRIBUTE)
    assert shown(p).images == ["one", "two"] and p.extra_generation_params == {} and p.said == []


def test_the_strip_stands_behind_the_pictures_with_the_first_ones_infotext() -> None:
    processed = shown(sampled(Config(filmstrip="fast")))
    assert processed.images[:2] == ["one", "two"] and isinstance(processed.images[2], Image.Image)
    assert processed.infotexts == ["first", "second", "first"]


def test_the_scale_is_said_and_written() -> None:
    p = sampled(Config(measure_scale=True))
    # |1 - 0.5| / |1 - 0| = 0.5: CFG 7 pushes as far as CFG 4, and CFG 13 as far as CFG 7.
    assert p.extra_generation_params == {FEELS_KEY: "4"}
    assert "pushes as far as CFG 4 " in p.said[0] and "for CFG 7 it is 13" in p.said[0]
    assert shown(p).images == ["one", "two"]


def test_a_negative_that_pushes_nowhere_is_said_and_costs_no_call() -> None:
    p = sampled(Config(measure_scale=True), uncond=None)
    assert "nowhere" in p.said[0] and p.extra_generation_params == {}


def test_a_watch_that_fails_is_said_and_the_picture_stays() -> None:
    p = Job()
    proof.begin(p, Config(filmstrip="fast"))
    seen = watch.watched_job(p)
    assert seen is not None
    seen.take(Seen(1, 10, 1.0, "no tensor", None, None), lambda: None)
    proof.after_batch(p, WebUI(), torch.rand(2, 3, 8, 8))
    assert "could not be watched" in p.said[0]
    assert shown(p).images == ["one", "two"]


@pytest.mark.parametrize("again", [Config(), Config(filmstrip="vae")])
def test_beginning_again_forgets_the_job_before(again: Config) -> None:
    p = sampled(Config(filmstrip="fast"))
    proof.begin(p, again)
    found = watch.watched_job(p)
    assert (found is None) == (again == Config())
    assert found is None or found.watched.calls == 0
