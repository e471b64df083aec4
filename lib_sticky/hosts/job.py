"""One WebUI job: what it was asked, what was encoded for it, what acted. Lives on `p` and goes with it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from lib_sticky.config import Config, ConfigError, changed, parse
from lib_sticky.hosts.base import Host
from lib_sticky.infotext import ERROR_KEY, KEY, dump
from lib_sticky.prompt.negative import acts, tracked_text
from lib_sticky.prompt.warnings import warnings

ATTRIBUTE = "sticky_job"
OVERRIDES = "sticky_overrides"
"""Where an XYZ axis leaves the fields of its cell on `p`."""

log = logging.getLogger("sticky")


@dataclass
class Job:
    """The state of one job: its config, one encoder cache a pass, and what to say at its end."""

    config: Config
    host: Host
    caches: dict[bool, list[Any]] = field(default_factory=lambda: {False: [None, None], True: [None, None]})
    told: set[str] = field(default_factory=set)


def begin(p: Any, host: Host, values: Any) -> None:
    """Read the config of the job `p` from `values` (one dict of fields) and any XYZ cell; safe to repeat on one `p`.

    A job that is off leaves no trace on `p`. One that cannot be understood is refused before it samples, because the
    hosts would log an exception from a hook and go on without the effect.
    """
    _forget(p)
    try:
        config = parse(values)
        config = parse({**changed(config), **getattr(p, OVERRIDES, {})})
    except ConfigError as error:
        _refuse(p, error)
        return
    if not config.enabled:
        return
    setattr(p, ATTRIBUTE, Job(config, host))
    # A copy, because XYZ cells share the dict (copy.copy of p).
    p.extra_generation_params = {**p.extra_generation_params, KEY: dump(config)}


def prepare(p: Any) -> None:
    """Encode this pass's negatives before sampling starts, while the host may still move models in memory freely."""
    job: Job | None = getattr(p, ATTRIBUTE, None)
    if job is None:
        return
    try:
        texts = job.host.texts(p)
        if acts(job.config, hires=texts.hires):
            _schedules(job, p)
            _tell(job, p, warnings(job.config, texts, job.host.facts(job.host.cfg_scale(p), p)))
    except Exception as error:
        _fail(job, p, error)


def put_in_place(params: Any) -> None:
    """Give the CFG denoiser the tracked negative of this model call; `params` is the host's CFGDenoiserParams."""
    p = getattr(params.denoiser, "p", None)
    job: Job | None = getattr(p, ATTRIBUTE, None)
    if job is None or params.text_uncond is None:
        return
    try:
        if acts(job.config, hires=job.host.texts(p).hires):
            schedules = _schedules(job, p)
            params.text_uncond = job.host.at_step(schedules, params.denoiser.step, params.text_uncond)
    except Exception as error:
        _fail(job, p, error)


def _schedules(job: Job, p: Any) -> Any:
    texts = job.host.texts(p)
    pairs = zip(texts.positive, texts.negative, strict=True)
    negatives = [tracked_text(job.config, positive, negative, hires=texts.hires) for positive, negative in pairs]
    return job.host.encode(p, negatives, job.caches[texts.hires])


def _forget(p: Any) -> None:
    if hasattr(p, ATTRIBUTE):
        delattr(p, ATTRIBUTE)
    if {KEY, ERROR_KEY} & set(p.extra_generation_params):
        kept = {key: value for key, value in p.extra_generation_params.items() if key not in (KEY, ERROR_KEY)}
        p.extra_generation_params = kept


def _refuse(p: Any, error: ConfigError) -> None:
    """Make the host's own next call on `p` raise: the API then answers 422 with the message, the page shows it."""
    log.error("%s", error)

    def init(*_args: Any, **_kwargs: Any) -> None:
        raise error

    p.init = init


def _fail(job: Job, p: Any, error: Exception) -> None:
    """Hosts swallow exceptions from callbacks; say it where people look: infotext, comments, log."""
    message = f"{type(error).__name__}: {error}"
    if message in job.told:
        return
    log.exception("the tracked negative could not be used")
    p.extra_generation_params = {**p.extra_generation_params, ERROR_KEY: message}
    _tell(job, p, [f"failed, the picture lacks its effect: {message}"])


def _tell(job: Job, p: Any, messages: list[str]) -> None:
    for message in messages:
        if message not in job.told:
            job.told.add(message)
            p.comment(f"Sticky: {message}")
