"""Why a technique does not act on a step, in the words that users read; "" where it acts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import apg, dynamic_thresholding, freeu
from .cfg_pp import equivalent_scale
from .interval import Interval, covers
from .norm_clamp import NormClamp
from .passes import Pass, Step
from .selection import Selection, Technique

_SAME = "the positive and the negative are the same"
_SKIPPED = "the host skipped the negative on this step"
_NO_CFG = "CFG does not act"

Verdicts = Iterator[tuple[Technique, str]]


@dataclass(frozen=True)
class Contrast:
    """How CFG would act: away from `reference` by `scale`, and from the undesirable terms by `gain`.

    absent, folded_absent: why there is no contrast, or no SEG in the reference. composing: an AND prompt needs the
    reference to add its parts up, even at a scale where CFG does not act.
    """

    reference: Pass
    scale: float
    gain: float
    absent: str
    folded_absent: str
    composing: bool


def contrast(selection: Selection, step: Step) -> Contrast:
    """Work out what CFG moves away from on this step."""
    folded_absent = _folded_absent(selection, step)
    scale = selection.cfg_pp.strength if selection.cfg_pp else step.scale
    absent = _outside(selection.cfg, step) or _absent(selection, step, scale, folded=not folded_absent)
    gain = selection.two_scale.terms if selection.two_scale else _gain(selection, step)
    composing = step.and_prompt and not step.uncond_skipped and not _same(selection, step)
    reference = Pass.NULL if selection.two_scale else Pass.UNCOND
    return Contrast(reference, scale, gain, absent, folded_absent, composing)


def weak_passes(selection: Selection, step: Step) -> Verdicts:
    """PAG, SEG, TPG and SAG: they need nothing but the positive."""
    pag, seg, tpg, sag = selection.pag, selection.seg, selection.tpg, selection.sag
    if pag:
        yield Technique.PAG, _outside(pag.interval, step) or _zero(scale=pag.scale)
    if seg and not seg.folded:
        yield Technique.SEG, _outside(seg.interval, step) or _zero(scale=seg.scale, sigma=seg.sigma)
    if tpg:
        yield Technique.TPG, _outside(tpg.interval, step) or _zero(scale=tpg.scale)
    if sag:
        yield Technique.SAG, _outside(sag.interval, step) or _zero(scale=sag.scale, sigma=sag.sigma)


def negative(selection: Selection, step: Step, found: Contrast) -> Verdicts:
    """What acts through the reference and the undesirable terms."""
    terms = selection.two_scale
    no_terms = _SKIPPED if step.uncond_skipped else _SAME if step.cond_equals_uncond else ""
    if terms:
        no_terms = no_terms or ("" if terms.terms else "its terms scale is 0")
        yield Technique.TWO_SCALE, no_terms
    else:
        no_terms = no_terms or found.absent or ("" if found.gain > 0 else "nothing pushes away from the negative")
    if selection.seg and selection.seg.folded:
        yield Technique.FOLDED_SEG, found.folded_absent or (found.absent and _NO_CFG)
    if selection.odds_gate:
        yield Technique.ODDS_GATE, no_terms or _gate_blind(selection, step, found)
    if selection.norm_clamp:
        yield Technique.NORM_CLAMP, no_terms or _unlimited(selection.norm_clamp)
    if selection.apg:
        same = "its settings are those of plain CFG" if apg.is_identity(selection.apg) else ""
        yield Technique.APG, (found.absent and _NO_CFG) or same
    if selection.dynamic_thresholding:
        same = dynamic_thresholding.is_identity(found.scale, selection.dynamic_thresholding)
        reason = "its settings are those of plain CFG at this scale" if same else ""
        yield Technique.DYNAMIC_THRESHOLDING, (found.absent and _NO_CFG) or reason
    yield Technique.CFG, found.absent or ("CFG++ takes its place" if selection.cfg_pp else "")


def consequences(selection: Selection, step: Step, found: Contrast, pushed: bool) -> Verdicts:
    """CFG++, rescale and FreeU; `pushed`: something besides CFG moves the prediction."""
    if selection.cfg_pp:
        unmoved = found.absent if not pushed or step.uncond_skipped else ""
        yield Technique.CFG_PP, _outside(selection.cfg, step) or unmoved
    if selection.rescale:
        still = "" if pushed or not found.absent else "nothing else changed the prediction"
        yield Technique.RESCALE, still or _zero(phi=selection.rescale.phi)
    if selection.freeu:
        same = "all its factors are 1" if freeu.is_identity(selection.freeu) else ""
        yield Technique.FREEU, _outside(selection.freeu.interval, step) or same


def _outside(interval: Interval, step: Step) -> str:
    return "" if covers(interval, step.index, step.total) else "outside its steps"


def _zero(**values: float) -> str:
    return next((f"its {name} is 0" for name, value in values.items() if value == 0), "")


def _folded_absent(selection: Selection, step: Step) -> str:
    seg = selection.seg
    if seg is None or not seg.folded:
        return "not asked for"
    return _outside(seg.interval, step) or _zero(sigma=seg.sigma)


def _absent(selection: Selection, step: Step, scale: float, folded: bool) -> str:
    if step.uncond_skipped:
        return _SKIPPED
    if _same(selection, step) and not folded:
        return "the positive is empty too" if selection.two_scale else _SAME
    thresholding = selection.dynamic_thresholding
    mimics = thresholding is not None and not dynamic_thresholding.is_identity(scale, thresholding)
    needed = scale != 1 or selection.cfg_pp is not None or mimics
    return "" if needed else "the CFG scale is 1"


def _same(selection: Selection, step: Step) -> bool:
    return step.cond_equals_null if selection.two_scale else step.cond_equals_uncond


def _gain(selection: Selection, step: Step) -> float:
    if selection.cfg_pp is None:
        return step.scale - 1
    if step.sigma is None or step.sigma_next is None:
        return 0.0
    return equivalent_scale(selection.cfg_pp.strength, step.sigma, step.sigma_next) - 1


def _gate_blind(selection: Selection, step: Step, found: Contrast) -> str:
    if not selection.two_scale and not found.folded_absent:
        return "SEG blurs the pass that it judges by"
    return "" if step.sigma is not None else "the host gives no noise level"


def _unlimited(settings: NormClamp) -> str:
    return "its limit is infinite" if settings.limit == float("inf") else ""
