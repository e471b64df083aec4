"""`neglora make`: wrong pictures by the model itself, as a folder to train on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_sticky.lab.contact_sheet import write_contact_sheet
from lib_sticky.lab.dataset import Dataset, DatasetError
from lib_sticky.prompt.packs import PACKS, WRONG
from lib_sticky.prompt.wrong import CAPTION, EMPHASIS, SCALES, Recipe, Shot, words_in
from lib_sticky.studio.flags import add_job_fields, folder_and_model
from lib_sticky.studio.job import Job, JobError

if TYPE_CHECKING:
    from lib_sticky.hosts.diffusers import Diffusers

_SHARED = ("negative", "sampler", "steps", "width", "height", "clip_skip")


@dataclass(frozen=True)
class Order:
    """What is made, and what all of its jobs share."""

    recipe: Recipe
    base: Job

    def job(self, shot: Shot) -> Job:
        """The job of one picture."""
        return replace(self.base, prompt=shot.prompt, cfg=shot.cfg, seed=shot.seed, batch=1)


@dataclass(frozen=True)
class Progress:
    """How many pictures of how many are there, and what is being made."""

    done: int
    pictures: int
    making: str


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument(
        "--words", default="", metavar="TEXT", help="words for what is wrong, comma-separated (default: the pack)"
    )
    parser.add_argument("--pack", choices=tuple(PACKS), default=WRONG, help=f"a pack of them (default: {WRONG})")
    parser.add_argument(
        "--emphasis", type=float, default=EMPHASIS, metavar="X",
        help=f"weight of one word at a time (default: {EMPHASIS})",
    )  # fmt: skip
    parser.add_argument(
        "--cfg", type=float, nargs="+", default=list(SCALES), metavar="X",
        help=f"CFG scales (default: {SCALES[0]:g} to {SCALES[-1]:g})",
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=1, metavar="N", help="pictures a word and scale (default: 1)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first picture (default: 1)")
    parser.add_argument("--caption", default=CAPTION, help=f"what the pictures are called (default: {CAPTION})")
    add_job_fields(parser, ("prompt", *_SHARED))
    parser.add_argument("--model", default="", metavar="PATH", help="a model file or folder (default: the shipped one)")
    parser.add_argument("--out", default="out/neglora", metavar="DIR", help="the folder (default: out/neglora)")


def run(parser: argparse.ArgumentParser, found: argparse.Namespace) -> int:
    """Make what is missing; 0 when all pictures are there, 130 when interrupted."""
    try:
        order = order_of(found)
    except (JobError, DatasetError) as error:
        parser.error(str(error))
    out, path, host = folder_and_model(parser, found)
    try:
        for event in make_wrong(host, order, path, out, found.caption):
            print(f"picture {event.done} of {event.pictures}: {event.making}", file=sys.stderr, flush=True)
    except DatasetError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("\ncancelled; finished pictures are kept, the same command goes on from there", file=sys.stderr)
        return 130
    print(out)
    return 0


def order_of(found: argparse.Namespace) -> Order:
    """What parsed flags ask for; raises JobError or DatasetError that names what is at fault."""
    words = words_in(found.words or PACKS[found.pack])
    if not words:
        raise DatasetError("--words: there is no word in it")
    if found.count < 1 or found.seed < 0 or not found.caption.strip():
        raise DatasetError("--count must be 1 or more, --seed 0 or more, and --caption some text")
    scales = tuple(dict.fromkeys(found.cfg))
    recipe = Recipe(words, found.emphasis, scales, found.count, found.prompt, found.seed)
    order = Order(recipe, Job(**{name: getattr(found, name) for name in _SHARED}))
    for shot in recipe.shots():
        order.job(shot)  # Checks the values.
    return order


def make_wrong(host: Diffusers, order: Order, model: Path, out: Path, caption: str) -> Iterator[Progress]:
    """Make the pictures that are missing; stop asking, or interrupt, to cancel: a later call goes on from there.

    Raises DatasetError where `out` holds pictures of other settings.
    """
    from lib_sticky.studio.making import Made, make, settled

    recipe = order.recipe
    dataset = Dataset(out, caption, _settings(host, order, model))
    for shot in dataset.missing(recipe):
        yield Progress(len(dataset.rows), recipe.pictures, f"{shot.word}, CFG {shot.cfg:g}")
        made = next(
            event for event in make(host, settled(order.job(shot), host), model.stem) if isinstance(event, Made)
        )
        dataset.add(shot, made.pictures[0], made.infotexts[0])
    write_contact_sheet(dataset, recipe)
    yield Progress(len(dataset.rows), recipe.pictures, "done")


def _settings(host: Diffusers, order: Order, model: Path) -> dict[str, Any]:
    from lib_sticky.studio.neglora.identity import model_hash
    from lib_sticky.studio.sampling import sized

    job = sized(order.base, host)
    shared = {name: getattr(job, name) for name in _SHARED}
    return {**order.recipe.settings(), "model": model.name, "model sha256": model_hash(model), **shared}
