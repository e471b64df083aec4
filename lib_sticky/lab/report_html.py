"""A comparison as one HTML page that opens offline; its pictures lie beside it."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .report_look import SCRIPT, STYLE
from .step_chart import step_chart


@dataclass(frozen=True)
class Picture:
    """One picture: its seed, its path relative to the page, and its infotext."""

    seed: int
    file: str
    infotext: str


@dataclass(frozen=True)
class Cell:
    """One arm under one setting: `label` for lists, `about` and `negative` for people, its pictures and filmstrip."""

    label: str
    about: str
    negative: str
    pictures: Sequence[Picture]
    filmstrip: str


@dataclass(frozen=True)
class Value:
    """One field of a table: a figure, fainter lines below it, and a highlighted verdict, if there is one."""

    figure: str
    below: Sequence[str]
    verdict: str = ""


@dataclass(frozen=True)
class Row:
    """One line of a table: its name, and a value for each other column."""

    name: str
    values: Sequence[Value]
    is_share: bool = False


@dataclass(frozen=True)
class Section:
    """One setting: sentences on it, its grid, its arms, its tables, and how far guidance pushed by step.

    A section without cells and pushes shows pictures of other sections in another order.
    """

    label: str
    notes: Sequence[str]
    grid: str
    cells: Sequence[Cell]
    columns: Sequence[str]
    rows: Sequence[Row]
    more: Sequence[Row]
    pushes: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Report:
    """Everything on the page; `refusal` is "" where there are verdicts, `method` are sentences."""

    title: str
    prompt: str
    facts: Sequence[tuple[str, str]]
    refusal: str
    sections: Sequence[Section]
    method: Sequence[str]
    files: Sequence[tuple[str, str]]


def page(report: Report) -> str:
    """The whole page. Text from outside is escaped; nothing is loaded from elsewhere."""
    parts = [
        f"<h1>{_text(report.title)}</h1><p class=prompt>{_text(report.prompt)}</p>",
        f"<section class=refusal role=note><p>{_text(report.refusal)}</p></section>" if report.refusal else "",
        _slider(),
        *(_section(section) for section in report.sections),
        _method(report),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(report.title)}: {_text(report.prompt)}</title><style>{STYLE}</style></head><body>"
        f"{''.join(parts)}"
        f'<script type="application/json" id="pictures">{_data(report.sections)}</script>'
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _text(value: str) -> str:
    return html.escape(value, quote=True)


def _slider() -> str:
    return (
        "<h2>Same seed, two ways</h2><div class=slider><div>"
        "<div class=pair id=pair><img id=right-picture alt=''><img class=left id=left-picture alt=''></div>"
        "<div class=ends><span id=left-end></span><span id=right-end></span></div>"
        "<input type=range id=at min=0 max=100 step=0.1 value=50 aria-label='How much of the left picture is shown'>"
        "</div><div class=pick><label>Seed<select id=seed></select></label>"
        "<label>Left<select id=left></select></label><label>Right<select id=right></select></label>"
        "<details><summary>How the two were made</summary><pre id=left-text></pre><pre id=right-text></pre></details>"
        "</div></div>"
    )


def _data(sections: Sequence[Section]) -> str:
    """What the slider's script needs; `<` is escaped so that no text can end the script element."""
    arms = [section for section in sections if section.cells]
    cells = [(section, cell) for section in arms for cell in section.cells]
    seeds = [picture.seed for picture in cells[0][1].pictures]
    last = len(cells) - len(arms[-1].cells)
    found = {
        "seeds": seeds,
        "left": last,
        "right": next((i for i, (_, cell) in enumerate(cells) if i > last and "sticky" in cell.label), len(cells) - 1),
        "cells": [
            {"label": cell.label, "pictures": [[picture.file, picture.infotext] for picture in cell.pictures]}
            for _, cell in cells
        ],
    }
    return json.dumps(found, ensure_ascii=False).replace("<", "\\u003c")


def _section(section: Section) -> str:
    rest = _table(section.columns, section.more)
    return "".join(
        [
            f"<section><h2>{_text(section.label)}</h2>",
            *(f"<p>{_text(note)}</p>" for note in section.notes),
            _pictures(section),
            "<h3>Differences, seed by seed</h3>",
            _table(section.columns, section.rows),
            f"<details><summary>All the other metrics</summary>{rest}</details>",
            _pushes(section.pushes),
            *(_strip(cell) for cell in section.cells),
            "</section>",
        ]
    )


def _pushes(pushes: Mapping[str, Sequence[float]]) -> str:
    if not pushes:
        return ""
    about = "How far guidance moved the prediction, by step (rms of D − D_c, median of seeds)"
    return "<h3>What the guidance did at each step</h3>" + step_chart(pushes, about)


def _pictures(section: Section) -> str:
    return "".join(
        [
            f'<h3>Pictures</h3><p><a href="{_text(section.grid)}">All arms in one labelled picture</a></p>',
            "<div class=cells>",
            *(_cell(cell) for cell in section.cells),
            "</div>",
        ]
    )


def _cell(cell: Cell) -> str:
    figures = "".join(
        f'<figure><a href="{_text(each.file)}" title="{_text(each.infotext)}">'
        f'<img src="{_text(each.file)}" alt="{_text(cell.label)}, seed {each.seed}" loading=lazy></a>'
        f"<figcaption>seed {each.seed}</figcaption></figure>"
        for each in cell.pictures
    )
    negative = f"negative: {cell.negative}" if cell.negative else "no negative"
    return (
        f"<div class=cell><h4>{_text(cell.label)} <span>{_text(cell.about)}</span></h4>"
        f"<p class=negative>{_text(negative)}</p><div class=row tabindex=0>{figures}</div></div>"
    )


def _strip(cell: Cell) -> str:
    return (
        f"<details class=strip><summary>{_text(cell.label)}</summary>"
        f'<a href="{_text(cell.filmstrip)}"><img src="{_text(cell.filmstrip)}" loading=lazy '
        f'alt="{_text(cell.label)}: the predictions of each step"></a></details>'
    )


def _table(columns: Sequence[str], rows: Iterable[Row]) -> str:
    head = "".join(f"<th scope=col>{_text(column)}</th>" for column in columns)
    body = "".join(_row(row) for row in rows)
    return f"<div class=scroll tabindex=0><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _row(row: Row) -> str:
    values = "".join(f"<td>{''.join(_lines(value))}</td>" for value in row.values)
    return f"<tr{' class=share' if row.is_share else ''}><th scope=row>{_text(row.name)}</th>{values}</tr>"


def _lines(value: Value) -> Iterator[str]:
    yield _text(value.figure)
    yield from (f"<small>{_text(line)}</small>" for line in value.below)
    if value.verdict:
        yield f"<strong>{_text(value.verdict)}</strong>"


def _method(report: Report) -> str:
    facts = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in report.facts)
    links = ((_text(file), _text(about)) for file, about in report.files)
    files = "".join(f'<li><a href="{file}">{file}</a>: {about}</li>' for file, about in links)
    method = "".join(f"<p>{_text(sentence)}</p>" for sentence in report.method)
    return f"<h2>How this was made</h2><dl>{facts}</dl><h3>How to read it</h3>{method}<h3>Files</h3><ul>{files}</ul>"
