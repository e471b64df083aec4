"""What the page works with: one loaded model, and runs of jobs on it as updates of the page."""

from __future__ import annotations

import contextlib
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from lib_sticky import __version__
from lib_sticky.config import ConfigError
from lib_sticky.guidance.report import described
from lib_sticky.hosts.base import Facts
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.png import save
from lib_sticky.studio.job import Job, JobError
from lib_sticky.studio.making import Made, make, settled, without_and_with
from lib_sticky.studio.models import ModelError, chosen, open_model
from lib_sticky.studio.proving import filmstrip_of, scale_in_words, watch_for
from lib_sticky.studio.side_by_side import side_by_side


@dataclass(frozen=True)
class Shown:
    """One state of the page; `files` is None while the pictures, and what acted on them, stay as they are."""

    status: str
    files: tuple[str, ...] | None = None
    infotexts: tuple[str, ...] = ()
    reports: tuple[Mapping[str, Any], ...] = ()


@dataclass
class _Loaded:
    path: Path | None = None
    host: Diffusers | None = None
    lock: Lock = field(default_factory=Lock)


class Desk:
    """Holds the model that was used last, and is the host that the preview asks about texts."""

    name = "studio"

    def __init__(self, out: Path) -> None:
        self.out = out
        self._loaded = _Loaded()
        self._busy = Lock()

    def version(self) -> str:
        """The studio's version."""
        return __version__

    def facts(self, cfg_scale: float, p: Any = None) -> Facts:
        """What decides whether a negative acts: only the guidance scale."""
        del p
        return Facts(cfg_scale)

    def count_tokens(self, text: str) -> int | None:
        """CLIP tokens of `text`, or None while no model is open; waits for one that is being opened."""
        with self._loaded.lock:
            return None if self._loaded.host is None else self._loaded.host.count_tokens(text)

    def open_shipped(self) -> None:
        """Open the model that ships ahead of the first run, which says what is wrong if this cannot be done."""
        with contextlib.suppress(ModelError):
            self._open(chosen(""))

    def run(self, job: Job, model: str, *, compare: bool) -> Iterator[Shown]:
        """Make the job's pictures, or both halves of a comparison, save them, and say how far it is."""
        try:
            yield Shown(said("Loading the model …"))
            path = chosen(model)
            with self._busy:
                host = self._open(path)
                yield from self._pictures(host, path.stem, settled(job, host), compare)
        except (ModelError, JobError, ConfigError) as error:
            yield Shown(failed(str(error)))
        except (OSError, RuntimeError, ValueError) as error:
            yield Shown(failed(f"{type(error).__name__}: {error}"))

    @contextlib.contextmanager
    def model(self) -> Iterator[tuple[Path, Diffusers]]:
        """The model used last, or the one that ships, for one job alone. ModelError where none can be opened."""
        with self._busy:
            path = self._loaded.path or chosen("")
            yield path, self._open(path)

    def _open(self, path: Path) -> Diffusers:
        with self._loaded.lock:
            if self._loaded.host is None or self._loaded.path != path:
                self._loaded.host = None
                self._loaded.host = open_model(path)
                self._loaded.path = path
            return self._loaded.host

    def _pictures(self, host: Diffusers, model: str, job: Job, compare: bool) -> Iterator[Shown]:
        jobs = without_and_with(job) if compare else (job,)
        made: list[Made] = []
        beside: list[tuple[Image.Image | None, str]] = []
        for number, each in enumerate(jobs):
            watch = watch_for(host, each)
            for event in make(host, each, model):
                if isinstance(event, Made):
                    made.append(event)
                    if watch:
                        beside.append((filmstrip_of(host, event, watch, _label(each)), scale_in_words(each, watch)))
                else:
                    if watch:
                        watch.see(event)
                    yield Shown(progress(number * event.steps + event.step, len(jobs) * event.steps))
        yield self._saved(made, compare, beside)

    def _saved(self, made: Sequence[Made], compare: bool, beside: Sequence[tuple[Image.Image | None, str]]) -> Shown:
        files: list[str] = []
        texts: list[str] = []
        for each in made:
            for index, (picture, text) in enumerate(zip(each.pictures, each.infotexts, strict=True)):
                files.append(str(save(picture, self.out, str(each.job.seed + index), text)))
                texts.append(text)
        if compare:
            sheet = compared(made)
            files.insert(0, str(save(sheet, self.out, f"{made[0].job.seed}-compare", texts[-1])))
            texts.insert(0, texts[-1])
        for strip in filter(None, (strip for strip, _ in beside)):
            files.append(str(save(strip, self.out, f"{made[0].job.seed}-filmstrip", texts[-1], quick=True)))
            texts.append(texts[-1])
        words = [f"Saved in {self.out}.", *(f"{words}." for _, words in beside if words)]
        reports = tuple(described(each.records) for each in made if each.guided)
        return Shown(said(" ".join(words)), tuple(files), tuple(texts), reports)


def compared(made: Sequence[Made]) -> Image.Image:
    """The pictures of each job in a column of its own, labelled."""
    return side_by_side([(_label(each.job), each.pictures) for each in made])


def _label(job: Job) -> str:
    return f"{'with' if job.config.enabled else 'without'} Sticky, CFG {job.cfg:g}"


def said(words: str) -> str:
    """A status line."""
    return f"<div class='studio-status'>{html.escape(words)}</div>"


def failed(words: str) -> str:
    """A status line that says what went wrong."""
    return f"<div class='studio-status studio-failed' role='alert'>{html.escape(words)}</div>"


def progress(step: int, steps: int) -> str:
    """A bar and how many steps are done."""
    return (
        f"<div class='studio-status'><progress value='{step}' max='{steps}' aria-label='Progress'></progress> "
        f"step {step} of {steps}</div>"
    )
