"""One WebUI job: what it was asked, what was encoded for it, what acted. Lives on `p` and goes with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lib_sticky.config import Config, ConfigError, changed, parse
from lib_sticky.guidance.report import described, short
from lib_sticky.guidance.selection import Selection
from lib_sticky.guidance_fields import NULL_HOST
from lib_sticky.hosts import neglora_job, proof
from lib_sticky.hosts.base import Guiding, Host, Texts
from lib_sticky.hosts.neglora_pass import NegLoraPass
from lib_sticky.hosts.nothing import empty, encode_ahead, untitled
from lib_sticky.hosts.rows import taken
from lib_sticky.hosts.selected import cfg_scale, selected
from lib_sticky.infotext import ACTED_KEY, ERROR_KEY, FEELS_KEY, KEY, REPORT_KEY, dump
from lib_sticky.lora.sides import SidedLoras, on_text
from lib_sticky.prompt.negative import acts, tracked_text
from lib_sticky.prompt.warnings import warnings

ATTRIBUTE = "sticky_job"
OVERRIDES = "sticky_overrides"
"""Where an XYZ axis leaves the fields of its cell on `p`."""

OWN_KEYS = {KEY, ERROR_KEY, ACTED_KEY, FEELS_KEY}

log = logging.getLogger("sticky")


@dataclass
class Job:
    """The state of one job: its config, its encoder caches, the techniques at work, and what to say at its end."""

    config: Config
    host: Host
    caches: dict[tuple[bool, str], list[Any]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    passes: list[Guiding] = field(default_factory=list)
    guiding: Guiding | None = None
    """The techniques of the pass that the job is in, if any; also in `passes`."""
    reports: list[dict[str, Any]] = field(default_factory=list)
    """What acted in each pass of the batches that are done."""
    negatives: dict[bool, Sequence[str]] = field(default_factory=dict)
    """The negatives of the batch with their tags, by "is the hires pass"."""
    neglora: NegLoraPass | None = None

    @property
    def loras(self) -> SidedLoras | None:
        """The negative LoRAs of the pass, if any."""
        return self.neglora.loras if self.neglora else None

    def cache(self, hires: bool, kind: str) -> list[Any]:
        """The encoder cache of one kind of text in one pass."""
        return self.caches.setdefault((hires, kind), [None, None])


def begin(p: Any, host: Host, values: Any) -> None:
    """Read the config of the job `p` from `values` (one dict of fields) and any XYZ cell; safe to repeat on one `p`.

    A job that is off leaves no trace on `p`. One that cannot be understood is refused before it samples, because the
    hosts would log an exception from a hook and go on without the effect.
    """
    _forget(p)
    try:
        config = parse(values)
        config = parse({**changed(config), **getattr(p, OVERRIDES, {})})
        if not config.is_on and not neglora_job.tagged(p):
            return
        neglora_job.check(config, p)
    except ConfigError as error:
        refuse(p, error)
        return
    setattr(p, ATTRIBUTE, Job(config, host))
    proof.begin(p, config)
    # A copy, because XYZ cells share the dict (copy.copy of p).
    p.extra_generation_params = {**p.extra_generation_params, KEY: dump(config)}


def untag(p: Any) -> None:
    """Take what is ours out of the texts of a batch before the host encodes them; once for each batch."""
    job: Job | None = getattr(p, ATTRIBUTE, None)
    if job is not None:
        job.negatives = neglora_job.untag(p)


def prepare(p: Any) -> None:
    """Before a pass is sampled: encode its texts, while the host may still move models freely; let techniques act."""
    job: Job | None = getattr(p, ATTRIBUTE, None)
    if job is None:
        return
    try:
        texts = job.host.texts(p)
        job.neglora = neglora_job.hung_on(p, job.config, job.negatives.get(texts.hires, texts.negative))
        _tell(job, p, job.loras.notes if job.loras else [])
        if _changes_negative(job, texts):
            _schedules(job, p)
        if tracks(job.config, hires=texts.hires):
            _tell(job, p, warnings(job.config, texts, job.host.facts(job.host.cfg_scale(p), p)))
        config = job.config
        selection, job.guiding = selected(config, hires=texts.hires), None
        if selection != Selection() or config.untitled:
            scale = cfg_scale(config, 0.0) or None
            job.guiding = job.host.guide(p, selection, scale, untitled=config.untitled)
            if job.passes and not job.passes[-1].records:
                job.passes.pop()  # Forge prepares its hires pass twice before it samples it.
            job.passes.append(job.guiding)
            _tell(job, p, list(job.guiding.refused))
            if _left_out(p, texts) and not (config.untitled or _changes_negative(job, texts)):
                _typed(job, p, texts)
        encode_ahead(job.host, p, config, job.cache, two_scale=selection.two_scale is not None)
    except Exception as error:
        _fail(job, p, error)


def put_in_place(params: Any) -> None:
    """Give the CFG denoiser this model call's conditionings and rows; `params` is the host's CFGDenoiserParams."""
    p = getattr(params.denoiser, "p", None)
    job: Job | None = getattr(p, ATTRIBUTE, None)
    if job is None or (params.text_uncond is None and job.guiding is None):
        return
    try:
        _put_texts(job, p, params)
        if job.neglora:
            job.neglora.before(params)
        if job.guiding:
            job.guiding.sides_differ = job.neglora is not None and job.neglora.sides_differ
            job.guiding.before(params, lambda: empty(job.host, p, params, job.config.null, job.cache))
    except Exception as error:
        _fail(job, p, error)


def finish(p: Any) -> None:
    """After a batch: say in the infotext what acted, and in the comments what did not and why."""
    job: Job | None = getattr(p, ATTRIBUTE, None)
    passes = [] if job is None else [each for each in job.passes if each.records or each.owner or each.refused]
    if job is None or not passes:
        return
    lines = [short(guiding.records) for guiding in passes if guiding.records]
    lines += dict.fromkeys(reason for guiding in passes for reason in guiding.refused)
    owners = {guiding.owner for guiding in passes if guiding.owner}
    lines += sorted(owners)
    p.extra_generation_params = {**p.extra_generation_params, ACTED_KEY: " | ".join(lines)}
    _tell(job, p, [line for line in lines if line in owners or "inert" in line])
    job.reports += [
        {**described(guiding.records), "refused": list(guiding.refused), "others": guiding.owner} for guiding in passes
    ]
    job.passes.clear()


def report(p: Any, processed: Any) -> None:
    """After a job: leave what acted in each pass in the answer of the API; the infotexts are written by then."""
    job: Job | None = getattr(p, ATTRIBUTE, None)
    if job is not None and job.reports:
        processed.extra_generation_params = {**processed.extra_generation_params, REPORT_KEY: job.reports}


def _put_texts(job: Job, p: Any, params: Any) -> None:
    texts, config = job.host.texts(p), job.config
    absent = params.text_uncond is None
    if absent:  # Techniques may need it all the same.
        params.text_uncond = taken(params.text_cond, slice(0, len(texts.positive)))
    if config.untitled:
        nothing = untitled(job.host, p, params, job.cache)
        params.text_cond = nothing
        params.text_uncond = empty(job.host, p, params, config.null, job.cache)
    elif _changes_negative(job, texts):
        params.text_uncond = job.host.at_step(_schedules(job, p), params.denoiser.step, params.text_uncond)
    elif config.null != NULL_HOST and not any(texts.negative):
        params.text_uncond = empty(job.host, p, params, config.null, job.cache)
    elif absent:
        params.text_uncond = job.host.at_step(_typed(job, p, texts), params.denoiser.step, params.text_uncond)

    if job.loras and job.loras.changes_text(negative=False) and not config.untitled:
        with on_text(job.loras, negative=False):
            prompts = job.host.encode_prompts(p, texts.positive, job.cache(texts.hires, "prompts"))
        params.text_cond = job.host.prompts_at_step(prompts, params.denoiser.step)


def _left_out(p: Any, texts: Texts) -> bool:
    """Whether the host has encoded no negative for this pass, as Forge does at CFG 1."""
    return getattr(p, "hr_uc" if texts.hires else "uc", ()) is None


def _typed(job: Job, p: Any, texts: Texts) -> Any:
    """The schedules of the negatives as typed, where the host has none."""
    return job.host.encode(p, texts.negative, job.cache(texts.hires, "typed"))


def _changes_negative(job: Job, texts: Texts) -> bool:
    """Whether the negative of this pass is not the one that the host has encoded."""
    in_text = job.loras is not None and job.loras.changes_text(negative=True)
    return (in_text and not job.config.untitled) or tracks(job.config, hires=texts.hires)


def tracks(config: Config, *, hires: bool) -> bool:
    """Whether the negative of this pass is the tracked one."""
    return acts(config, hires=hires) and not config.untitled


def _schedules(job: Job, p: Any) -> Any:
    texts = job.host.texts(p)
    pairs = zip(texts.positive, texts.negative, strict=True)
    negatives = [tracked_text(job.config, positive, negative, hires=texts.hires) for positive, negative in pairs]
    with on_text(job.loras, negative=True):
        return job.host.encode(p, negatives, job.cache(texts.hires, "tracked"))


def _forget(p: Any) -> None:
    if hasattr(p, ATTRIBUTE):
        delattr(p, ATTRIBUTE)
    proof.begin(p, Config())
    if OWN_KEYS & set(p.extra_generation_params):
        kept = {key: value for key, value in p.extra_generation_params.items() if key not in OWN_KEYS}
        p.extra_generation_params = kept


def refuse(p: Any, error: Exception) -> None:
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
    log.exception("the job lacks an effect that it was asked for")
    p.extra_generation_params = {**p.extra_generation_params, ERROR_KEY: message}
    _tell(job, p, [f"failed, the picture lacks its effect: {message}"])


def _tell(job: Job, p: Any, messages: Sequence[str]) -> None:
    for message in messages:
        if message not in job.told:
            job.told.add(message)
            p.comment(f"Sticky: {message}")
