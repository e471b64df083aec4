"""Long jobs in the studio: on the model that the page used last, in turn with the page's own jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lib_sticky.config import Config, ConfigError
from lib_sticky.guidance.report import short
from lib_sticky.hosts.painter import Batch, Model, Painted, Settings
from lib_sticky.lab.compare import Setting
from lib_sticky.lab.worth import JUDGED, MEASURED
from lib_sticky.merge.hash_cache import default_cache, hash_files
from lib_sticky.studio.desk import Desk
from lib_sticky.studio.job import SAMPLER_NAMES, Job, JobError
from lib_sticky.studio.judging import judge_for
from lib_sticky.studio.making import Made, make
from lib_sticky.studio.models import ModelError
from lib_sticky.studio.neglora.identity import model_hash
from lib_sticky.studio.sampling import sized


class DeskPainter:
    """Waits while the desk makes something else."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def samplers(self) -> list[str]:
        return list(SAMPLER_NAMES)

    def model(self) -> Model:
        try:
            with self._desk.model() as (path, _):
                return Model(path.stem, path, model_hash(path))
        except ModelError as error:
            raise ConfigError("model", str(error)) from error

    def check(self, settings: Settings, config: Config) -> None:
        _job(Batch(settings, config, range(1)))

    def paint(self, batch: Batch, stopped: Callable[[], bool]) -> Painted | None:
        try:
            with self._desk.model() as (path, host):
                job, made, records = sized(_job(batch), host), None, []
                for event in make(host, job, path.stem):
                    if stopped():
                        return None
                    if isinstance(event, Made):
                        made = event
                    else:
                        records.append(event.guided.record)
        except ModelError as error:
            raise ConfigError("model", str(error)) from error
        if made is None:
            raise RuntimeError("the job ended without pictures")
        judge = judge_for(path, batch.prompts.positive, [Setting(job.cfg, job.steps, job.width, job.height)])
        judged = judge(made.pictures) if judge else [{}] * len(batch.seeds)
        rule = JUDGED if judge else MEASURED
        return Painted(made.pictures, made.infotexts, short(records), path.stem, _hash(path), judged, rule)

    def interrupt(self) -> None:
        """`paint` looks at every step."""


def _job(batch: Batch) -> Job:
    settings, prompts = batch.settings, batch.prompts
    try:
        return Job(
            prompt=prompts.positive, negative=prompts.negative, sampler=settings.sampler, steps=settings.steps,
            cfg=settings.cfg, width=settings.width, height=settings.height, seed=batch.seeds.start,
            batch=len(batch.seeds), config=batch.config,
        )  # fmt: skip
    except JobError as error:
        raise ConfigError("sampler" if error.field == "cfgpp" else error.field, str(error)) from error


def _hash(path: Path) -> str:
    """As the WebUIs shorten it; empty for a folder of files."""
    return "".join(sha256[:10] for _, sha256 in hash_files([path], default_cache(), 1)) if path.is_file() else ""
