"""A contact sheet of wrong pictures: words in rows, CFG scales in columns."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lib_sticky.lab.dataset import Dataset
from lib_sticky.lab.labelled import labelled
from lib_sticky.prompt.wrong import Recipe

CONTACT_SHEET = "contact-sheet.png"


def write_contact_sheet(dataset: Dataset, recipe: Recipe) -> Path:
    """Write the first picture of every word and scale, which have to be there, as one picture; its path."""
    first: dict[tuple[str, float], Image.Image] = {}
    for shot in recipe.shots():
        if (shot.word, shot.cfg) not in first:
            with Image.open(dataset.folder / dataset.rows[shot.index].file) as picture:
                first[shot.word, shot.cfg] = picture.convert("RGB")
    columns = [f"CFG {scale:g}" for scale in recipe.scales]
    pictures = [[first[word, scale] for scale in recipe.scales] for word in recipe.words]
    title = f"{recipe.pictures} wrong pictures, one word at a time at weight {recipe.emphasis:g}"
    path = dataset.folder / CONTACT_SHEET
    labelled(title, columns, list(recipe.words), pictures).save(path)
    return path
