"""The page about a model from an untitled run: one HTML file with small pictures inside, beside the whole ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lib_sticky.api.untitled_results import Results, results, taste, taste_words
from lib_sticky.api.untitled_runs import Run
from lib_sticky.config import ConfigError, changed
from lib_sticky.lab.pictures import rgb
from lib_sticky.lab.prior_html import Part, page
from lib_sticky.lab.prior_part import Shown, part
from lib_sticky.lab.yields import Difference
from lib_sticky.votes import Vote

NAME = "report.html"


def report(run: Run, votes: Sequence[Vote]) -> str:
    """The page's HTML; a picture counts as kept by its vote, or without one by the run's rule.

    ConfigError where nothing was made yet, or where a picture is gone.
    """
    if not run.pictures:
        raise ConfigError("run", "it has made no picture yet")
    found, order = results(run, votes), run.order
    seeds = f"{order.seed} to {order.seed + order.seeds - 1}, the same for every preset"
    facts = [
        ("Model", f"{run.model} [{run.model_hash}]" if run.model_hash else run.model),
        ("Sampler", f"{order.sampler}, {order.steps} steps, CFG {order.cfg:g} where a preset names none"),
        ("Empty negative", order.null),
        ("Seeds", seeds),
        ("Pictures", f"{len(run.pictures)} of {order.total}"),
    ]
    notes = [
        f"A picture with a vote counts by it; the others by this: {run.rule}",
        *(f"By votes, {each.seeds} seeds: {each.sentence}." for each in found.by_votes if each.seeds),
        *(f"Without votes, {each.seeds} seeds: {each.sentence}." for each in found.by_rule if each.seeds),
        _corrected(found.by_votes or found.by_rule),
        taste_words(taste(votes)),
    ]
    try:
        parts = [_part(run, preset, found) for preset in order.presets if run.of(preset)]
    except OSError as error:
        raise ConfigError("run", f"a picture of it cannot be read ({error})") from error
    return page(f"What {run.model} draws when it is asked for nothing", facts, [note for note in notes if note], parts)


def write(run: Run, votes: Sequence[Vote]) -> Path:
    """Write the page into the run's folder and return its path. ConfigError as `report`."""
    path = run.folder / NAME
    partial = path.with_suffix(".part")
    partial.write_text(report(run, votes), encoding="utf-8")
    return partial.replace(path)


def _part(run: Run, preset: str, found: Results) -> Part:
    pictures, shown = run.of(preset), list[Shown]()
    for each in pictures:
        vote = found.votes.get((each.sha256, preset))
        drawn = each.drawn if vote is None else type(each.drawn)(each.drawn.seed, vote, each.drawn.hash)
        with Image.open(each.file) as picture:
            shown.append(Shown(drawn, rgb(picture), each.file.relative_to(run.folder).as_posix(), each.small))
    about = ", ".join(f"{name} {value}" for name, value in changed(run.order.config(preset)).items())
    (result,) = [each for each in found.presets if each.preset == preset]
    share = result.voted.share
    told = f"By votes: {result.voted.kept} of {result.voted.votes} kept"
    interval = f", yield {share.value:.3f}, 95% interval {share.low:.3f} to {share.high:.3f}"
    return part(preset, about, pictures[0].acted, shown, [told + (interval if result.voted.votes else "") + "."])


def _corrected(compared: Sequence[Difference]) -> str:
    if len(compared) < 2:
        return ""
    return (
        f"With {len(compared)} pairs compared, the smallest p after Holm's correction is "
        f"{min(each.corrected for each in compared):.3g}."
    )
