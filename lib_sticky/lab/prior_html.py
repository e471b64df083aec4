"""What a model draws when asked for nothing, as one HTML page that opens offline."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from .report_look import STYLE

_MORE = """
.swatches { display: flex; height: 28px; max-width: 420px; border-radius: 4px; overflow: hidden; margin: .4rem 0; }
.swatches span { flex: 1; }
.drawn { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 8px; }
.drawn img { width: 100%; display: block; border-radius: 3px; }
.blurred img { filter: blur(18px); } .blurred .seen img { filter: none; } .blurred figure { overflow: hidden; }
.drawn .kept figcaption { color: var(--accent); font-weight: 600; }
"""
_SCRIPT = """
document.querySelectorAll(".drawn figure").forEach(f => f.addEventListener("click", e => {
  if (document.body.classList.contains("blurred") && !f.classList.contains("seen")) { e.preventDefault(); }
  f.classList.add("seen");
}, true));
document.getElementById("blur").addEventListener("change",
  e => document.body.classList.toggle("blurred", e.target.checked));
"""


@dataclass(frozen=True)
class Thumbnail:
    """One picture: its seed, its path relative to the page, whether it is kept, a remark.

    small: a data URI to show in place of the file, "" for the file itself.
    """

    seed: int
    file: str
    kept: bool
    remark: str
    small: str = ""


@dataclass(frozen=True)
class Part:
    """One preset: its name, what it does, sentences on it, its colours, its pictures."""

    name: str
    about: str
    notes: Sequence[str]
    palette: Sequence[tuple[int, int, int]]
    pictures: Sequence[Thumbnail]


def page(title: str, facts: Sequence[tuple[str, str]], notes: Sequence[str], parts: Sequence[Part]) -> str:
    """The whole page, thumbnails blurred until clicked. Text from outside is escaped; nothing is loaded."""
    described = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}{_MORE}</style></head><body class=blurred>"
        f"<h1>{_text(title)}</h1><dl>{described}</dl>"
        f"{''.join(f'<p>{_text(note)}</p>' for note in notes)}"
        "<p><label><input type=checkbox id=blur checked> Blur pictures until they are clicked</label></p>"
        f"{''.join(_part(part) for part in parts)}<script>{_SCRIPT}</script></body></html>\n"
    )


def _part(part: Part) -> str:
    colours = "".join(f'<span style="background:rgb{colour}" title="rgb{colour}"></span>' for colour in part.palette)
    notes = "".join(f"<p>{_text(note)}</p>" for note in part.notes)
    figures = "".join(_figure(each) for each in part.pictures)
    return (
        f"<section><h2>{_text(part.name)}</h2><p class=negative>{_text(part.about)}</p>{notes}"
        f"<div class=swatches role=img aria-label=Palette>{colours}</div><div class=drawn>{figures}</div></section>"
    )


def _figure(each: Thumbnail) -> str:
    caption = f"seed {each.seed}{', kept' if each.kept else ''}{f', {each.remark}' if each.remark else ''}"
    return (
        f'<figure{" class=kept" if each.kept else ""}><a href="{_text(each.file)}">'
        f'<img src="{_text(each.small or each.file)}" alt="seed {each.seed}" loading=lazy></a>'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


def _text(value: str) -> str:
    return html.escape(value, quote=True)
