"""What the study makes and what it asks: its cells, and the pairs of them that each claim stands or falls with.

Written before anything was measured. A cell is one way of making a picture; every cell makes the same prompts from the
same noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from lib_sticky.config import Config
from lib_sticky.studio.job import Job

NONE, TERMS, STICKY, PLACEBO = "none", "terms", "sticky", "placebo"
STRONG = "blurry, noisy, distorted, artifacts, low quality"
"""Words that the shipped model was trained on, each alone in two of three pictures that deserve it."""
MILD = "awful, ugly"
"""Words that say "bad" without saying how."""
BASE, WARM, COLD, MERGED = "base", "warm", "cold", "merged"
"""The model that is studied, two fine-tunes of it on half of the colours each, and their 50% merge."""


@dataclass(frozen=True)
class Cell:
    """One way of making a picture.

    over: config fields by name. size: multiple of the model's own. matched: the sticky cell whose effective scale
    takes the place of `cfg`.
    """

    name: str
    cfg: float
    kind: str = NONE
    terms: str = STRONG
    over: tuple[tuple[str, Any], ...] = ()
    steps: int = 20
    size: float = 1.0
    model: str = BASE
    matched: str = ""

    def job(self, native: int, filler: str, scale: float) -> Job:
        """The job of this cell, its prompts and seed left open; `filler` is the placebo, `scale` the CFG scale."""
        terms = filler if self.kind == PLACEBO else self.terms
        side = round(native * self.size / 8) * 8
        config = Config(enabled=self.kind in (STICKY, PLACEBO), terms=terms, **dict(self.over))
        negative = terms if self.kind == TERMS else ""
        return Job(
            negative=negative, sampler="Euler", steps=self.steps, cfg=scale, width=side, height=side, config=config
        )


@dataclass(frozen=True)
class Claim:
    """What people say, and the pairs (cell, reference) that test it; half: only prompts with these colours."""

    says: str
    pairs: tuple[tuple[str, str], ...]
    half: str = ""


@dataclass(frozen=True)
class Study:
    """A part of the whole that can be run alone."""

    name: str
    title: str
    cells: tuple[Cell, ...]
    claims: tuple[Claim, ...]


def _none(*scales: float) -> list[Cell]:
    return [Cell(f"empty negative, CFG {cfg:g}", cfg) for cfg in scales]


def _words(kind: str, *scales: float, terms: str = STRONG, label: str = "") -> list[Cell]:
    return [Cell(f"{label or kind}, CFG {cfg:g}", cfg, kind, terms) for cfg in scales]


def _changed(cell: Cell, label: str, **over: float) -> Cell:
    return replace(cell, name=f"{cell.name}, {label}", over=tuple(over.items()))


_STICKY = {cell.cfg: cell for cell in _words(STICKY, 3, 7, 15, 20, 25, 30)}
_EMPTY = {cell.cfg: cell for cell in _none(1, 3, 7, 15, 20, 25, 30)}
_MATCHED = [Cell(f"empty negative at the effective scale of {_STICKY[c].name}", c, matched=_STICKY[c].name)
            for c in (7, 20, 30)]  # fmt: skip
_ONLY = {cell.cfg: cell for cell in _words(TERMS, 7, 20, label="terms only")}
_FILLER = {cell.cfg: cell for cell in _words(PLACEBO, 7, 20)}
_MILD = {cell.cfg: cell for cell in _words(STICKY, 7, 20, 30, terms=MILD, label="sticky with mild terms")}
_GATED = {cfg: _changed(_STICKY[cfg], "gated", gate=1.0) for cfg in (7.0, 15.0, 25.0)}
_SLOW = _changed(_STICKY[25], "gated slowly", gate=1.0, gate_evidence=0.1)
_SURE = _changed(_STICKY[25], "gated from a prior of 0.95", gate=1.0, gate_prior=0.95)
_CLAMPED = {limit: _changed(_STICKY[20], f"clamped at {limit:g}", clamp=limit) for limit in (0.1, 0.3)}
_TWO = {scale: _changed(_STICKY[7], f"terms scale {scale:g}", twoscale=float(scale)) for scale in (1, 3)}
_TWO_CLAMPED = _changed(_STICKY[7], "terms scale 19 clamped at 0.1", twoscale=19.0, clamp=0.1)
_LATE = {start: _changed(_STICKY[20], f"terms from {start:g}", start=start) for start in (0.1, 0.3)}
_EARLY = _changed(_STICKY[20], "terms to 0.6", stop=0.6)


def _pairs(first: Mapping[float, Cell], second: Mapping[float, Cell], *scales: float) -> tuple[tuple[str, str], ...]:
    return tuple((first[scale].name, second[scale].name) for scale in scales)


def _against(reference: Cell, *cells: Cell) -> tuple[tuple[str, str], ...]:
    return tuple((cell.name, reference.name) for cell in cells)


def _short(cell: Cell) -> Cell:
    return replace(cell, name=f"{cell.name}, 10 steps", steps=10)


def _large(cell: Cell) -> Cell:
    return replace(cell, name=f"{cell.name}, 1.5 times the size", size=1.5)


def _on(model: str, cell: Cell) -> Cell:
    return replace(cell, name=f"{cell.name}, {model}", model=model)


_ARMS = Study(
    "arms",
    "Sticky against an empty negative, the terms alone, a placebo and a matched CFG scale",
    (*_EMPTY.values(), *_STICKY.values(), *_ONLY.values(), *_FILLER.values(), *_MATCHED, *_MILD.values()),
    (
        Claim("At CFG 20 to 30 a sticky negative burns less than an empty one", _pairs(_STICKY, _EMPTY, 20, 25, 30)),
        Claim("… at CFG 7 and 15 too", _pairs(_STICKY, _EMPTY, 7, 15)),
        Claim("… because of the terms, not of the form", _pairs(_STICKY, _FILLER, 7, 20)),
        Claim("… and not because the push is smaller", tuple((cell.matched, cell.name) for cell in _MATCHED)),
        Claim("A sticky negative does more than the same terms alone", _pairs(_STICKY, _ONLY, 7, 20)),
        Claim(
            "Sticky at CFG 20 is better than simply a lower CFG",
            (*_against(_EMPTY[3], _STICKY[20]), *_against(_EMPTY[7], _STICKY[20])),
        ),
        Claim("Mild terms make CFG 20 and 30 safe", _pairs(_MILD, _EMPTY, 20, 30)),
        Claim("… and are better than plain CFG 7", _against(_EMPTY[7], _MILD[20])),
        Claim("… and do more than no guidance at all", _against(_EMPTY[1], _MILD[20])),
    ),
)
_MODES = Study(
    "modes",
    "Modes of the sticky negative: gated, clamped, two-scale",
    (*_GATED.values(), _SLOW, _SURE, *_CLAMPED.values(), *_TWO.values(), _TWO_CLAMPED),
    (
        Claim("The odds gate is better than a constant negative", _pairs(_GATED, _STICKY, 7, 15, 25)),
        Claim("… also when it moves slowly, or begins surer", _against(_STICKY[25], _SLOW, _SURE)),
        Claim("Gated at CFG 25 is better than plain CFG 7", _against(_EMPTY[7], _GATED[25], _SLOW, _SURE)),
        Claim("A norm clamp keeps the prompt at CFG 20", _against(_STICKY[20], *_CLAMPED.values())),
        Claim("… and is better than plain CFG 7", _against(_EMPTY[7], *_CLAMPED.values())),
        Claim("Two-scale is better than plain CFG 7", _against(_EMPTY[7], *_TWO.values(), _TWO_CLAMPED)),
    ),
)
_INTERVAL = Study(
    "interval",
    "The terms on a part of the steps",
    (*_LATE.values(), _EARLY),
    (Claim("The terms should come in late, or go early", _against(_STICKY[20], *_LATE.values(), _EARLY)),),
)
_STEPS = Study(
    "steps",
    "Half the steps",
    (_short(_EMPTY[7]), _short(_EMPTY[20]), _short(_STICKY[20])),
    (
        Claim("With a sticky negative 10 steps are as good as 20", _against(_STICKY[20], _short(_STICKY[20]))),
        Claim(
            "… without one they are not",
            (*_against(_EMPTY[7], _short(_EMPTY[7])), *_against(_EMPTY[20], _short(_EMPTY[20]))),
        ),
    ),
)
_SIZE = Study(
    "size",
    "Above the native size",
    (_large(_EMPTY[7]), _large(_EMPTY[20]), _large(_STICKY[20])),
    (
        Claim("Above the native size sticky burns less too", _against(_large(_EMPTY[20]), _large(_STICKY[20]))),
        Claim("… and is better than plain CFG 7", _against(_large(_EMPTY[7]), _large(_STICKY[20]))),
    ),
)
_PARENTS = {model: _on(model, _EMPTY[7]) for model in (WARM, COLD)}
_CHILD = _on(MERGED, _EMPTY[7])
_MERGE = Study(
    "merge",
    "A 50% merge against its parents",
    (*_PARENTS.values(), _CHILD, _on(MERGED, _STICKY[20]), _on(MERGED, _EMPTY[20])),
    (
        Claim("A 50% merge knows the cold colours that its warm parent forgot", _against(_PARENTS[WARM], _CHILD), COLD),
        Claim("… and the warm colours that its cold parent forgot", _against(_PARENTS[COLD], _CHILD), WARM),
        Claim("… and keeps the warm colours that its warm parent learnt", _against(_PARENTS[WARM], _CHILD), WARM),
        Claim("… and the cold colours that its cold parent learnt", _against(_PARENTS[COLD], _CHILD), COLD),
        Claim("A 50% merge is better than the model that both came from", _against(_EMPTY[7], _CHILD)),
        Claim(
            "On a merged model sticky at CFG 20 burns less", _against(_on(MERGED, _EMPTY[20]), _on(MERGED, _STICKY[20]))
        ),
    ),
)
STUDIES: Mapping[str, Study] = MappingProxyType(
    {study.name: study for study in (_ARMS, _MODES, _INTERVAL, _STEPS, _SIZE, _MERGE)}
)
SHOWN = (_EMPTY[7], _EMPTY[20], _ONLY[20], _STICKY[20], _FILLER[20], _MILD[20], _GATED[25], _CLAMPED[0.1], _TWO[3])
"""The cells whose first pictures are put side by side."""
