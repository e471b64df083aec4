"""What is kept of a batch while it is sampled: measured later and together, as if each step had been measured alone."""

from __future__ import annotations

import numpy as np
import pytest

from lib_sticky.lab import watching
from lib_sticky.lab.latent_steps import LatentStep, measure_step
from lib_sticky.lab.watching import Seen, Watched

torch = pytest.importorskip("torch")


def seen(step: int, negative: bool = True, batch: int = 2) -> Seen:
    draw = torch.Generator().manual_seed(step)
    cond, uncond, guided = (torch.randn(batch, 4, 3, 5, generator=draw) for _ in range(3))
    return Seen(step, 9, 1.0, cond, uncond if negative else None, guided)


def alone(each: Seen) -> list[LatentStep]:
    sides = (each.guided, each.cond) if each.uncond is None else (each.guided, each.cond, each.uncond)
    return measure_step(*(side.numpy() for side in sides))


def near(found: LatentStep, wanted: LatentStep) -> bool:
    return all(np.allclose(getattr(found, name), getattr(wanted, name), rtol=1e-5) for name in vars(wanted))


@pytest.mark.parametrize("limit", [0, 4 << 20], ids=["at once", "at the end"])
def test_steps_measured_together_are_those_measured_alone(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(watching, "_WAITING", limit)
    calls = [seen(step, negative=step not in (3, 4, 7)) for step in range(1, 9)]
    watch = Watched(strip=False)
    for each in calls:
        watch.take(each)
    wanted = [alone(each) for each in calls]
    for image in (0, 1):
        assert len(watch.steps[image]) == len(calls)
        assert all(near(found, each[image]) for found, each in zip(watch.steps[image], wanted, strict=True))


def test_what_a_host_writes_over_afterwards_is_not_what_was_seen() -> None:
    watch, call = Watched(strip=False), seen(1)
    wanted = alone(call)
    watch.take(call)
    for side in (call.cond, call.uncond, call.guided):
        side.zero_()
    assert all(near(*pair) for pair in zip((steps[0] for steps in watch.steps), wanted, strict=True))


def test_a_second_pass_begins_anew_whether_or_not_the_first_was_measured() -> None:
    for ask in (True, False):
        watch = Watched(strip=True)
        watch.take(seen(1, batch=1))
        assert not ask or watch.steps
        watch.take(seen(1))
        assert [len(steps) for steps in watch.steps] == [1, 1]
        assert len(watch.frames) == 1


def test_steps_are_not_measured_unless_asked_for() -> None:
    watch = Watched(strip=True, measures=False)
    watch.take(seen(1))
    assert watch.steps == []
