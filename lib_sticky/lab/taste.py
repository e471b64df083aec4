"""What a user keeps, learned from the scores of the pictures that they voted on: a small logistic regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .intervals import Estimate
from .pictures import Floats
from .ranking import auc_estimate

LEAST = 30
"""Votes below which nothing is learned."""

RIDGE = 4.0
"""Strength of L2: a normal prior of deviation 1/2 on the weight of each standardised score."""

FOLDS = 5


class NotLearnable(ValueError):
    """Why nothing can be learned from the votes, in words."""


@dataclass(frozen=True)
class Voted:
    """A picture with a vote. Pictures of one group (a seed) are never in the training and the test part at once."""

    scores: Mapping[str, float]
    kept: bool
    group: int


@dataclass(frozen=True)
class Taste:
    """Weights [n] of standardised scores, and what standardises them."""

    names: tuple[str, ...]
    means: Floats
    scales: Floats
    weights: Floats
    bias: float

    def logit(self, scores: Mapping[str, float]) -> float:
        """The higher, the likelier the user keeps the picture. KeyError where a score is missing."""
        values = np.array([scores[name] for name in self.names], dtype=np.float64)
        return float((values - self.means) / self.scales @ self.weights + self.bias)

    def chance(self, scores: Mapping[str, float]) -> float:
        """Estimated chance, 0 to 1, that the user keeps the picture."""
        return float(_sigmoid(np.array(self.logit(scores))))


@dataclass(frozen=True)
class Learned:
    """A taste from all votes, and its AUC on votes that it was not shown.

    auc: of the scores of all folds together; the interval takes them as given, so it says nothing of other training
    sets.
    """

    taste: Taste
    auc: Estimate
    kept: int
    rejected: int


def learn(votes: Sequence[Voted]) -> Learned:
    """Learn from votes, and cross-validate. NotLearnable for too few, or for votes of one kind only."""
    kept = sum(vote.kept for vote in votes)
    if len(votes) < LEAST:
        raise NotLearnable(f"{len(votes)} votes; {LEAST} are needed before they say anything")
    if kept in (0, len(votes)):
        word = "keep" if kept else "reject"
        raise NotLearnable(f"all {len(votes)} votes say {word}; some of the other kind are needed")
    names = tuple(sorted(set.intersection(*(set(vote.scores) for vote in votes))))
    if not names:
        raise NotLearnable("the votes have no score in common")
    values = np.array([[vote.scores[name] for name in names] for vote in votes], dtype=np.float64)
    if not np.isfinite(values).all():
        raise NotLearnable("a stored score is not a finite number")
    labels = np.array([vote.kept for vote in votes])
    fold = _folds(np.array([vote.group for vote in votes]), labels)
    held_out = np.empty(len(votes))
    for number in range(FOLDS):
        test = fold == number
        means, scales, weights, bias = _trained(values[~test], labels[~test])
        held_out[test] = (values[test] - means) / scales @ weights + bias
    taste = Taste(names, *_trained(values, labels))
    return Learned(taste, auc_estimate(held_out[labels], held_out[~labels]), kept, len(votes) - kept)


def fit(values: Floats, labels: Floats, ridge: float) -> tuple[Floats, float]:
    """Weights [n] and bias that minimise sum of log losses + ridge/2 |weights|^2, by damped Newton steps.

    values: [votes, n]; labels: 0 or 1, both present.
    """
    design = np.column_stack([values, np.ones(len(values))])
    penalty = np.append(np.full(values.shape[1], ridge), 0.0)
    found = np.zeros(design.shape[1])

    def loss(at: Floats) -> float:
        logits = design @ at
        return float((np.logaddexp(0, logits) - labels * logits).sum() + (penalty * at**2).sum() / 2)

    for _ in range(100):
        chances = _sigmoid(design @ found)
        slope = design.T @ (chances - labels) + penalty * found
        bend = (design.T * (chances * (1 - chances))) @ design + np.diag(penalty)
        step = np.linalg.lstsq(bend, slope, rcond=None)[0]
        size = 1.0
        while loss(found - size * step) > loss(found) and size > 1e-6:
            size /= 2
        found = found - size * step
        if np.abs(step).max() < 1e-9:
            break
    return found[:-1], float(found[-1])


def _trained(values: Floats, labels: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats, float]:
    """Means, scales, weights and bias from one set of votes; a score that never varies gets the scale 1."""
    means, deviations = values.mean(axis=0), values.std(axis=0)
    scales = np.where(deviations > 1e-12, deviations, 1.0)
    weights, bias = fit((values - means) / scales, labels.astype(np.float64), RIDGE)
    return means, scales, weights, bias


def _folds(groups: NDArray[np.int64], labels: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The fold of every vote; groups with the rarer kind are dealt first, so that no training part lacks a kind."""
    rarer = labels if labels.mean() < 0.5 else ~labels
    shuffled = np.random.default_rng(0).permutation(np.unique(groups))
    dealt = sorted(shuffled, key=lambda group: not rarer[groups == group].any())
    number = {group: place % FOLDS for place, group in enumerate(dealt)}
    fold = np.array([number[group] for group in groups])
    if any(len(np.unique(labels[fold != each])) < 2 for each in range(FOLDS)):
        raise NotLearnable("the kept or the rejected pictures are all of one seed; vote on more seeds")
    return fold


def _sigmoid(values: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -values))
