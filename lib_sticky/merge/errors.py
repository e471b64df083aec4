"""What the merge engine raises. Every message names the file, key or field and says what to do."""

from __future__ import annotations


class MergeError(Exception):
    """A merge that cannot be done as asked."""


class CheckpointError(MergeError):
    """A file of weights that cannot be trusted or read."""


class RecipeError(MergeError):
    """A recipe that does not say a merge that can be done."""


class PlanRefused(MergeError):
    """Inputs that do not fit together, or a machine that has no room for the result."""


class MergeCancelled(MergeError):
    """The caller asked to stop; nothing was left behind."""
