"""The tracked negative: the positive prompt, the user's own negative, then the undesirable terms."""

from __future__ import annotations

from lib_sticky.prompt.brackets import drop_negative_weights
from lib_sticky.prompt.branches import branches
from lib_sticky.prompt.extra_networks import strip_extra_networks

SAME_CHUNK_JOIN = ", "
OWN_CHUNK_JOIN = " BREAK "


def track(positive: str, user_negative: str, terms: str, *, own_chunk: bool = False) -> str:
    """The negative that tracks `positive`: its copy, then `user_negative`, then `terms`.

    The copy comes first because CLIP is causal: what precedes the terms is then encoded as in the positive. It keeps
    weights, prompt editing, alternation, BREAK, escapes and embeddings as written; AND and its kin become BREAK and
    lose their weights; extra-network tags and spans of negative weight are left out. With `own_chunk` the rest starts
    after a BREAK, so that the copy's chunks are those of the positive, bit for bit.

    An empty positive leaves `user_negative` as it is. Applying it to its own result changes nothing.
    Source of the recipe: the negative contains the prompt itself plus undesirable terms (docs/STICKY.md).
    """
    copy = copied(positive)
    if not copy:
        return user_negative
    join = OWN_CHUNK_JOIN if own_chunk else SAME_CHUNK_JOIN
    own = _without_terms(_without_copy(user_negative.strip(), copy), terms.strip())
    rest = SAME_CHUNK_JOIN.join(part for part in (own, terms.strip()) if part)
    return join.join(part for part in (copy, rest) if part)


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


def _without_terms(negative: str, terms: str) -> str:
    if negative == terms:
        return ""
    if terms and negative.endswith(SAME_CHUNK_JOIN + terms):
        return negative[: -len(SAME_CHUNK_JOIN + terms)].strip()
    return negative
