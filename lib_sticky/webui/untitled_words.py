"""What the untitled tab says: runs, the gallery, one picture, yields and comparisons as HTML."""

from __future__ import annotations

import base64
import html
from collections.abc import Collection, Iterable, Sequence

from PIL import Image

from lib_sticky.api.untitled_results import Results, Yield, taste_words
from lib_sticky.api.untitled_runs import Picture, Run
from lib_sticky.lab.png import small_uri
from lib_sticky.lab.taste import Learned
from lib_sticky.lab.yields import Difference
from lib_sticky.webui.words import duration, progress, queue, table, warned

SHOWN = 4
PAGE = 60
"""Pictures on one page of the gallery."""
LARGE = 1024
BY_PRESET, BY_SEED, BY_TASTE = "preset and seed", "seed and preset", "your taste, best first"
_VERBS = ((True, "Keep"), (False, "Reject"))


def runs_words(runs: Sequence[Run]) -> str:
    """The queue, the newest run first."""
    body = "".join(map(_run, reversed(runs[-SHOWN:]))) or "<div class='sticky-count'>No run yet.</div>"
    last = f"{runs[-1].id}:{sum(len(run.pictures) for run in runs)}:{runs[-1].state}" if runs else ""
    return queue(body, any(run.active for run in runs), last)


def _run(run: Run) -> str:
    made, total = len(run.pictures), run.order.total
    told = f"<b>{html.escape(run.name)}</b> {html.escape(', '.join(run.order.presets))}: {run.state}"
    if run.state == "running":
        left = "" if run.seconds_left is None else f", {duration(run.seconds_left)} left"
        told += progress(made, total)
        told += f"<div class='sticky-count'>{made} of {total} pictures{left}; {html.escape(run.message)}</div>"
    elif run.state == "failed":
        told += warned([run.message])
    else:
        place = f"{made} of {total} pictures in {run.folder}" if made else run.message
        told += f"<div class='sticky-count'>{html.escape(place)}</div>"
    return f"<div class='sticky-job sticky-job-{run.state}'>{told}</div>"


def name_of(picture: Picture) -> str:
    """What a picture is known by in one run."""
    return f"{picture.preset}/{picture.drawn.seed}"


def gallery(
    run: Run, found: Results, learned: Learned | str, *, order: str, page: int, blurred: bool, seen: Collection[str]
) -> str:
    """One page of the run's pictures; those whose names are in `seen` are not blurred."""
    chances: dict[str, float] = {}
    if not isinstance(learned, str):
        chances = {name_of(each): learned.taste.chance(each.scores) for each in _all(run)}
    pictures = _sorted(run, order, chances)
    pages = max(1, -(-len(pictures) // PAGE))
    page = min(max(page, 1), pages)
    like = {result.preset: result.duplicates for result in found.presets}
    figures = ""
    for each in pictures[(page - 1) * PAGE : page * PAGE]:
        marks = ["plain" if each.said.get("blank") else "" if each.drawn.kept else "below the rule"]
        if each.drawn.seed in like[each.preset]:
            marks.append(f"like seed {like[each.preset][each.drawn.seed]}")
        if name_of(each) in chances:
            marks.append(f"{chances[name_of(each)]:.0%} to your taste")
        vote = found.votes.get((each.sha256, each.preset))
        figures += _figure(each, vote, [mark for mark in marks if mark], name_of(each) in seen)
    told = f"Page {page} of {pages}, {len(pictures)} pictures."
    if order == BY_TASTE and isinstance(learned, str):
        told += f" {html.escape(taste_words(learned))}"
    kind = "sticky-drawn sticky-blurred" if blurred else "sticky-drawn"
    return f"<div class='sticky-count'>{told}</div><div class='{kind}' data-run='{run.id}'>{figures}</div>"


def _all(run: Run) -> Iterable[Picture]:
    return (each for preset in run.order.presets for each in run.of(preset))


def _sorted(run: Run, order: str, chances: dict[str, float]) -> list[Picture]:
    pictures = list(_all(run))
    if order == BY_SEED:
        return sorted(pictures, key=lambda each: each.drawn.seed)
    if order == BY_TASTE and chances:
        return sorted(pictures, key=lambda each: -chances[name_of(each)])
    return pictures


def _figure(each: Picture, vote: bool | None, marks: Sequence[str], seen: bool) -> str:
    name, told = html.escape(name_of(each), quote=True), html.escape(f"{each.preset}, seed {each.drawn.seed}")
    buttons = "".join(
        f"<button type='button' data-vote='{verb.lower()}' aria-pressed='{str(vote is kept).lower()}'>{verb}</button>"
        for kept, verb in _VERBS
    )
    remarks = "".join(f"<span>{html.escape(mark)}</span>" for mark in marks)
    return (
        f"<figure{' class=sticky-seen' if seen else ''} data-name='{name}' data-sha256='{each.sha256}'>"
        f"<div class='sticky-veil'><img src='{each.small}' alt='{told}' tabindex='0' role='button'></div>"
        f"<figcaption><b>{told}</b>{remarks}</figcaption><div class='sticky-votes'>{buttons}</div></figure>"
    )


def detail(run: Run, each: Picture) -> str:
    """One picture, large, with everything that was measured. Says so where its file is gone."""
    try:
        with Image.open(each.file) as picture:
            shown = f"<img src='{small_uri(picture, LARGE)}' alt='{html.escape(name_of(each))}'>"
    except OSError as error:
        shown = warned([f"{each.file} cannot be read: {error}"])
    scores = {**{name: "yes" if true else "no" for name, true in each.said.items()}}
    scores.update({name: f"{value:.3g}" for name, value in each.scores.items()})
    rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{value}</td></tr>" for name, value in scores.items())
    return (
        f"<div class='sticky-preview sticky-one'>{shown}<div class='sticky-count'><b>{html.escape(each.preset)}, seed "
        f"{each.drawn.seed}</b>, {html.escape(run.model)}. {html.escape(each.acted)}</div>"
        f"<table class='sticky-plan'>{rows}</table></div>"
    )


def tables(run: Run, found: Results, learned: Learned | str) -> str:
    """Yields of the run's presets, the presets against each other, and what was learned from votes."""
    head = ("Preset", "Pictures", "Kept by votes", "Yield by votes", "Kept by the rule", "Yield by the rule", "Alike")
    rows = [
        (
            each.preset, str(each.made), f"{each.voted.kept} of {each.voted.votes}", _share(each.voted),
            f"{each.passed.kept} of {each.passed.votes}", _share(each.passed), str(len(each.duplicates)),
        )
        for each in found.presets
    ]  # fmt: skip
    compared = [*_compared("votes", found.by_votes), *_compared("the rule", found.by_rule)]
    text = table(head, rows)
    if compared:
        text += table(("Pair", "By", "Seeds", "Only first", "Only second", "McNemar p", "after Holm"), compared)
    return (
        f"<div class='sticky-preview'>{text}<div class='sticky-count'>{html.escape(taste_words(learned))}</div>"
        f"<div class='sticky-count'>Intervals are Wilson's, 95%. {html.escape(run.rule)}</div></div>"
    )


def overall(yields: Sequence[Yield]) -> str:
    """The yield of every model, and of every preset with it, over all votes."""
    rows = [(each.name, f"{each.kept} of {each.votes}", _share(each)) for each in yields]
    text = table(("Model and preset", "Kept", "Yield"), rows) if rows else "No vote yet."
    return f"<div class='sticky-preview'>{text}</div>"


def download(name: str, kind: str, text: str, words: str) -> str:
    """A link that saves `text` as the file `name`; nothing is written on the server for it."""
    held = base64.b64encode(text.encode()).decode()
    link = f"<a download='{name}' href='data:{kind};base64,{held}'>Save {name}</a>"
    return f"<div class='sticky-preview'>{html.escape(words)} {link}</div>"


def _compared(by: str, pairs: Sequence[Difference]) -> list[tuple[str, ...]]:
    return [
        (
            f"{each.first} against {each.second}", by, str(each.seeds), str(each.only_first), str(each.only_second),
            f"{each.p:.3g}", f"{each.corrected:.3g}",
        )
        for each in pairs
        if each.seeds
    ]  # fmt: skip


def _share(each: Yield) -> str:
    share = each.share
    return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})" if each.votes else "no vote"
