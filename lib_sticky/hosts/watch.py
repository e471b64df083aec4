"""What a WebUI's passes are seen to do: predictions for filmstrips and measures, probes with the empty prompt.

Independent of what acts in a pass: a job that is off can be watched too, and watching changes no picture.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from lib_sticky.hosts.base import Host
from lib_sticky.lab.probing import Probe, probe_steps, probed
from lib_sticky.lab.watching import Seen, Watched

ATTRIBUTE = "sticky_watch"

log = logging.getLogger("sticky")


class PassWatch(Protocol):
    """The watch over one sampling pass."""

    def before(self, params: Any, null: Callable[[], Any]) -> None:
        """Note one model call; `null` gives the empty negative's conditioning, a row for each image."""
        ...


@dataclass
class JobWatch:
    """What is kept of one job. probing: measure the effective scale too; called: told of every model call.

    failed: why nothing more is kept, "" while all is well; the picture is made all the same.
    """

    watched: Watched
    probing: bool = False
    called: Callable[[int, int], None] | None = None
    current: PassWatch | None = None
    failed: str = ""
    caches: dict[tuple[bool, str], list[Any]] = field(default_factory=dict)

    def cache(self, hires: bool, kind: str) -> list[Any]:
        """The encoder cache of one kind of text in one pass."""
        return self.caches.setdefault((hires, kind), [None, None])

    def take(self, seen: Seen, null: Callable[[], Any]) -> None:
        """Keep what a model call showed; `null` predicts with the empty prompt, at the cost of a call."""
        if self.failed:
            return
        try:
            if self.probing and seen.step in probe_steps(seen.steps):
                self.watched.probed(_probes(seen, null))
            self.watched.take(seen)
        except Exception as error:
            self.fail(error)
        if self.called:
            self.called(seen.step, seen.steps)

    def fail(self, error: Exception) -> None:
        """Keep nothing more."""
        log.exception("the job cannot be watched")
        self.failed = f"{type(error).__name__}: {error}"


def _probes(seen: Seen, null: Callable[[], Any]) -> list[Probe]:
    """Where the negative was not run it displaces nothing and holds all of the prompt: that needs no model call."""
    if seen.uncond is None:
        return [Probe(seen.step, 0.0, 1.0)] * len(seen.cond)
    return probed(seen.step, seen.cond, seen.uncond, null())


def watched_job(p: Any) -> JobWatch | None:
    """The watch over the job `p`, if there is one."""
    return getattr(p, ATTRIBUTE, None)


def begin(p: Any, host: Host) -> None:
    """Before a pass is sampled: hang the watch on it, and encode the empty prompt while the host may move models."""
    watch = watched_job(p)
    if watch is None:
        return
    try:
        watch.current = host.watch(p, watch)
        if watch.probing:
            _empty(host, p, watch)
    except Exception as error:
        watch.fail(error)


def before(params: Any, host: Host) -> None:
    """On every model call, before anything of ours changes it; `params` is the host's CFGDenoiserParams."""
    p = getattr(params.denoiser, "p", None)
    watch = watched_job(p)
    if watch is None or watch.current is None:
        return
    step, like = params.denoiser.step, params.text_uncond

    def null() -> Any:
        return host.at_step(_empty(host, p, watch), step, like)

    watch.current.before(params, null)


def _empty(host: Host, p: Any, watch: JobWatch) -> Any:
    texts = host.texts(p)
    return host.encode(p, [""] * len(texts.positive), watch.cache(texts.hires, "empty negative"))
