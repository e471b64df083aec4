"""What a run came to: yields with their intervals, presets against each other, near-duplicates, the learned taste."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lib_sticky.api.untitled_runs import Picture, Run
from lib_sticky.lab.intervals import Estimate, wilson
from lib_sticky.lab.taste import Learned, NotLearnable, Voted, learn
from lib_sticky.lab.yields import Difference, Drawn, differences, duplicates, share_kept
from lib_sticky.votes import Key, Vote


@dataclass(frozen=True)
class Yield:
    """How many pictures are worth keeping: `kept` of `votes` by the user, with the Wilson interval."""

    name: str
    votes: int
    kept: int
    share: Estimate


@dataclass(frozen=True)
class Result:
    """One preset of a run. passed: how many count as worth keeping by the run's rule, where nobody has voted."""

    preset: str
    made: int
    voted: Yield
    passed: Yield
    duplicates: Mapping[int, int]


@dataclass(frozen=True)
class Results:
    """A run with the votes on it. votes: keep (true) or reject by the pixels' hash and preset."""

    presets: Sequence[Result]
    by_votes: Sequence[Difference]
    by_rule: Sequence[Difference]
    votes: Mapping[tuple[str, str], bool]


def results(run: Run, votes: Iterable[Vote]) -> Results:
    """What the run came to so far."""
    known: dict[Key, bool] = {vote.key: vote.kept for vote in votes}
    cast = {
        (each.sha256, each.preset): known[key]
        for each in run.pictures
        if (key := (each.sha256, run.model_hash, each.preset, each.drawn.seed)) in known
    }
    made = {preset: run.of(preset) for preset in run.order.presets}
    by_rule = {preset: [each.drawn for each in pictures] for preset, pictures in made.items()}
    by_votes = {preset: _voted(pictures, cast) for preset, pictures in made.items()}
    presets = [
        Result(
            preset, len(drawn), _yield(preset, by_votes[preset]), _yield(preset, drawn), duplicates(drawn)
        )
        for preset, drawn in by_rule.items()
    ]  # fmt: skip
    return Results(presets, differences(by_votes), differences(by_rule), cast)


def everywhere(votes: Iterable[Vote]) -> list[Yield]:
    """The yield of every model and preset, over all votes that there are."""
    kept: dict[str, list[bool]] = {}
    for vote in votes:
        name = f"{vote.model} [{vote.model_hash}]" if vote.model_hash else vote.model
        for about in (name, f"{name}, {vote.preset}"):
            kept.setdefault(about, []).append(vote.kept)
    return [Yield(name, len(each), sum(each), wilson(sum(each), len(each))) for name, each in sorted(kept.items())]


def taste(votes: Iterable[Vote]) -> Learned | str:
    """What the votes teach, or in words why they teach nothing yet. Pictures of one seed count as one group."""
    try:
        return learn([Voted(vote.scores, vote.kept, vote.seed) for vote in votes])
    except NotLearnable as error:
        return str(error)


def taste_words(learned: Learned | str) -> str:
    """What was learned, and how far it can be trusted."""
    if isinstance(learned, str):
        return f"Nothing learned from votes yet: {learned}."
    auc = learned.auc
    return (
        f"Learned from {learned.kept + learned.rejected} votes ({learned.kept} kept): cross-validated AUC "
        f"{auc.value:.2f}, 95% interval {auc.low:.2f} to {auc.high:.2f}; 0.5 is chance."
    )


def _voted(pictures: Sequence[Picture], cast: Mapping[tuple[str, str], bool]) -> list[Drawn]:
    found = ((each.drawn, cast.get((each.sha256, each.preset))) for each in pictures)
    return [replace(drawn, kept=kept) for drawn, kept in found if kept is not None]


def _yield(name: str, pictures: Sequence[Drawn]) -> Yield:
    return Yield(name, len(pictures), sum(each.kept for each in pictures), share_kept(pictures))
