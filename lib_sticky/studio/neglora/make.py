"""`neglora make`: wrong pictures by the model itself, as a folder to train on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_sticky.prompt.packs import PACKS, WRONG
from lib_sticky.studio.flags import add_job_fields, folder_and_model
from lib_sticky.studio.job import Job, JobError
from lib_sticky.studio.neglora.dataset import Dataset, DatasetError
from lib_sticky.studio.neglora.recipe import Recipe

if TYPE_CHECKING:
    from lib_sticky.hosts.diffusers import Diffusers

_SHARED = ("prompt", "negative", "sampler", "steps", "width", "height", "clip_skip")
WORD = "wrong"
"""The caption, and the prompt under which the LoRA is trained."""


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
        "--emphasis", type=float, default=1.46, metavar="X", help="weight of one word at a time (default: 1.46)"
    )
    parser.add_argument(
        "--cfg", type=float, nargs="+", default=[8.0, 9.0, 10.0, 11.0, 12.0, 13.0], metavar="X",
        help="CFG scales (default: 8 to 13)",
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=1, metavar="N", help="pictures a word and scale (default: 1)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first picture (default: 1)")
    parser.add_argument("--caption", default=WORD, help=f"what the pictures are called (default: {WORD})")
    add_job_fields(parser, _SHARED)
    parser.add_argument("--model", default="", metavar="PATH", help="a model file or folder (default: the shipped one)")
    parser.add_argument("--out", default="out/neglora", metavar="DIR", help="the folder (default: out/neglora)")


def run(parser: argparse.ArgumentParser, found: argparse.Namespace) -> int:
    """Make what is missing; 0 when all pictures are there, 130 when interrupted."""
    try:
        recipe = recipe_of(found)
    except (JobError, DatasetError) as error:
        parser.error(str(error))
    out, path, host = folder_and_model(parser, found)
    try:
        for event in make_wrong(host, recipe, path, out, found.caption):
            print(f"picture {event.done} of {event.pictures}: {event.making}", file=sys.stderr, flush=True)
    except DatasetError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("\ncancelled; finished pictures are kept, the same command goes on from there", file=sys.stderr)
        return 130
    print(out)
    return 0


def recipe_of(found: argparse.Namespace) -> Recipe:
    """The recipe that parsed flags describe; raises JobError or DatasetError that names what is at fault."""
    words = tuple(dict.fromkeys(word.strip() for word in (found.words or PACKS[found.pack]).split(",") if word.strip()))
    if not words:
        raise DatasetError("--words: there is no word in it")
    if found.count < 1 or found.seed < 0 or not found.caption.strip():
        raise DatasetError("--count must be 1 or more, --seed 0 or more, and --caption some text")
    base = Job(**{name: getattr(found, name) for name in _SHARED}, seed=found.seed)
    recipe = Recipe(base, words, found.emphasis, tuple(dict.fromkeys(found.cfg)), found.count)
    for shot in recipe.shots():
        recipe.job(shot)  # Checks the values.
    return recipe


def make_wrong(host: Diffusers, recipe: Recipe, model: Path, out: Path, caption: str) -> Iterator[Progress]:
    """Make the pictures that are missing; stop asking, or interrupt, to cancel: a later call goes on from there.

    Raises DatasetError where `out` holds pictures of other settings.
    """
    from lib_sticky.lab.png import save
    from lib_sticky.studio.making import Made, make, settled

    dataset = Dataset(out, caption, _settings(host, recipe, model))
    for shot in recipe.shots():
        if dataset.has(shot.index):
            continue
        yield Progress(len(dataset.rows), recipe.pictures, f"{shot.word}, CFG {shot.cfg:g}")
        made = next(
            event for event in make(host, settled(recipe.job(shot), host), model.stem) if isinstance(event, Made)
        )
        path = save(made.pictures[0], dataset.pictures, f"{shot.index:04d}", made.infotexts[0])
        about = {"word": shot.word, "cfg": shot.cfg, "seed": shot.seed, "prompt": shot.prompt}
        dataset.add(shot.index, path, {**about, "infotext": made.infotexts[0]})
    _write_sheet(dataset, recipe)
    yield Progress(len(dataset.rows), recipe.pictures, "done")


def _settings(host: Diffusers, recipe: Recipe, model: Path) -> dict[str, Any]:
    from lib_sticky.studio.neglora.identity import model_hash
    from lib_sticky.studio.sampling import sized

    job = sized(recipe.base, host)
    shared = {name: getattr(job, name) for name in (*_SHARED, "seed")}
    known = {"model": model.name, "model sha256": model_hash(model)}
    asked = {"words": list(recipe.words), "emphasis": recipe.emphasis, "cfg": list(recipe.cfgs), "count": recipe.count}
    return {**known, **asked, **shared}


def _write_sheet(dataset: Dataset, recipe: Recipe) -> None:
    """A contact sheet of the first picture of every word and scale."""
    from PIL import Image

    from lib_sticky.lab.labelled import labelled

    first: dict[tuple[str, float], Image.Image] = {}
    for shot in recipe.shots():
        if (shot.word, shot.cfg) not in first:
            with Image.open(dataset.folder / dataset.rows[shot.index].file) as picture:
                first[shot.word, shot.cfg] = picture.convert("RGB")
    columns = [f"CFG {cfg:g}" for cfg in recipe.cfgs]
    pictures = [[first[word, cfg] for cfg in recipe.cfgs] for word in recipe.words]
    title = f"{recipe.pictures} wrong pictures, one word at a time at weight {recipe.emphasis:g}"
    labelled(title, columns, list(recipe.words), pictures).save(dataset.folder / "contact-sheet.png")
