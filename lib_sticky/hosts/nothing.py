"""The conditionings of an empty prompt and of an empty negative, in the form of a WebUI's model call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib_sticky.config import Config
from lib_sticky.guidance.null import zeroed
from lib_sticky.guidance_fields import NULL_ENCODED, NULL_HOST, NULL_SAME, NULL_ZEROS
from lib_sticky.hosts.base import Host
from lib_sticky.hosts.rows import mapped, taken

Caches = Callable[[bool, str], list[Any]]
"""The encoder cache of one kind of text in the first or hires pass."""


def encode_ahead(host: Host, p: Any, config: Config, caches: Caches, *, two_scale: bool) -> None:
    """Encode what the pass will ask for below while the host may still move models; later it may be sampling in them.

    two_scale: whether a technique guides away from the empty prompt.
    """
    if config.untitled:
        _schedules(host, p, caches, negative=False)
    needed = config.untitled or two_scale or config.null != NULL_HOST
    if needed and config.null != NULL_SAME:
        _schedules(host, p, caches, negative=config.null != NULL_ENCODED)


def untitled(host: Host, p: Any, params: Any, caches: Caches) -> Any:
    """The encoded empty prompt in every row of the call's positive."""
    return _encoded(host, p, params, params.text_cond, caches, negative=False)


def empty(host: Host, p: Any, params: Any, choice: str, caches: Caches) -> Any:
    """The empty negative of every image, as the `null` field chooses it."""
    like = params.text_uncond
    if choice == NULL_SAME:
        if params.text_cond.shape[0] != like.shape[0]:
            raise ValueError("an AND prompt has several positives; use zeros or encoded for the empty negative")
        return taken(params.text_cond, slice(0, like.shape[0]))
    if choice == NULL_ENCODED:
        return _encoded(host, p, params, like, caches, negative=False)
    found = _encoded(host, p, params, like, caches, negative=True)
    if choice != NULL_ZEROS:
        return found
    zeros = zeroed(found)
    return mapped(found, lambda key, _: zeros[key]) if isinstance(zeros, dict) else zeros


def _encoded(host: Host, p: Any, params: Any, like: Any, caches: Caches, *, negative: bool) -> Any:
    return host.at_step(_schedules(host, p, caches, negative=negative), params.denoiser.step, like)


def _schedules(host: Host, p: Any, caches: Caches, *, negative: bool) -> Any:
    texts = host.texts(p)
    cache = caches(texts.hires, "empty negative" if negative else "empty positive")
    return host.encode(p, [""] * len(texts.positive), cache, negative=negative)
