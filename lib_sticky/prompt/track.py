"""The tracked negative: the positive prompt, the user's own negative, then the undesirable terms."""

from __future__ import annotations

from collections.abc import Callable

from lib_sticky.prompt.brackets import drop_negative_weights
from lib_sticky.prompt.branches import branches
from lib_sticky.prompt.extra_networks import strip_extra_networks

SAME_CHUNK_JOIN = ", "
OWN_CHUNK_JOIN = " BREAK "

Edit = Callable[[str], str]
"""Turns the terms, with what joins them to the rest, into prompt editing that brings them in and out together."""


def track(positive: str, user_negative: str, terms: str, *, own_chunk: bool = False, edit: Edit = str) -> str:
    """The negative that tracks `positive`: its copy, then `user_negative`, then `terms` as `edit` writes them.

    The copy comes first because CLIP is causal: what precedes the terms is then encoded as in the positive. It keeps
    weights, prompt editing, alternation, BREAK, escapes and embeddings as written; AND and its kin become BREAK and
    lose their weights; extra-network tags and spans of negative weight are left out. With `own_chunk` the rest starts
    after a BREAK, so that the copy's chunks are those of the positive, bit for bit.

    An empty positive leaves `user_negative` as it is. Applying it to its own result changes nothing.
    Source of the recipe: the negative contains the prompt itself plus undesirable terms (docs/STICKY.md).
    """
    copy, terms = copied(positive), terms.strip()
    if not copy:
        return user_negative
    join = OWN_CHUNK_JOIN if own_chunk else SAME_CHUNK_JOIN
    own = _without_copy(_without_tail(user_negative.strip(), terms, edit), copy)
    own = "" if own == terms else own
    head = join.join(part for part in (copy, own) if part)
    return head + (edit((SAME_CHUNK_JOIN if own else join) + terms) if terms else "")


def copied(positive: str) -> str:
    """What of `positive` can stand in a negative, or "" when nothing can."""
    texts = (drop_negative_weights(branch.text).strip() for branch in branches(strip_extra_networks(positive)))
    return OWN_CHUNK_JOIN.join(text for text in texts if text.strip(" ,"))


def _without_copy(negative: str, copy: str) -> str:
    if negative == copy:
        return ""
    for join in (SAME_CHUNK_JOIN, OWN_CHUNK_JOIN):
        if negative.startswith(copy + join):
            return negative[len(copy + join) :].strip()
    return negative


def _without_tail(negative: str, terms: str, edit: Edit) -> str:
    for join in (SAME_CHUNK_JOIN, OWN_CHUNK_JOIN):
        tail = edit(join + terms) if terms else ""
        if tail and negative.endswith(tail):
            return negative[: -len(tail)].strip()
    return negative
