"""The model passes of one step: what the host knows before, and what it is asked to run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .attention_rows import Attention
from .selection import Inert, Technique


class Pass(str, Enum):
    """One row of the model's batch for each image."""

    COND = "cond"
    UNCOND = "uncond"
    NULL = "null"
    PAG = "pag"
    SEG = "seg"
    TPG = "tpg"


@dataclass(frozen=True)
class Row:
    """How a pass is run: whose conditioning (COND, UNCOND or NULL), which self-attention, shuffled tokens or not."""

    conditioning: Pass
    attention: Attention = Attention.PLAIN
    shuffled: bool = False


_WEAKENED = {
    Pass.PAG: Row(Pass.COND, Attention.IDENTITY),
    Pass.SEG: Row(Pass.COND, Attention.BLURRED),
    Pass.TPG: Row(Pass.COND, shuffled=True),
}


@dataclass(frozen=True)
class Step:
    """What the host knows of a step before the model runs.

    index: 0-based, of total. scale: the CFG scale. cond_equals_uncond, cond_equals_null: the conditionings are the
    same for every image. uncond_skipped: the host drops the negative on this step (NGMS, skip early CFG).
    and_prompt: some image has several conditionings or a weight other than 1, which need the negative at every scale.
    probe: measure the empty prompt too. sigma, sigma_next: noise levels in the variance-exploding form, if known.
    """

    index: int
    total: int
    scale: float
    cond_equals_uncond: bool = False
    cond_equals_null: bool = False
    uncond_skipped: bool = False
    and_prompt: bool = False
    probe: bool = False
    sigma: float | None = None
    sigma_next: float | None = None


@dataclass(frozen=True)
class Plan:
    """The passes of one batched call, in order, what acts and what does not.

    reference: the pass that CFG moves away from, None where it does not act. scale: how far. gain: how far the push
    away from the undesirable terms goes, in displacements D_c - D_cb.
    """

    step: Step
    passes: tuple[Pass, ...]
    reference: Pass | None
    scale: float
    gain: float
    acting: tuple[Technique, ...]
    inert: tuple[Inert, ...]

    @property
    def degraded(self) -> bool:
        """Whether SAG's second call follows, with the conditioning and the prediction of `sag_base`."""
        return Technique.SAG in self.acting

    @property
    def sag_base(self) -> Pass:
        """The pass that SAG degrades: the reference where it is run unblurred, else the positive."""
        return Pass.COND if self.reference is None or Technique.FOLDED_SEG in self.acting else self.reference

    @property
    def evaluations(self) -> int:
        """Model rows for each image, the second call included."""
        return len(self.passes) + self.degraded

    def row(self, name: Pass) -> Row:
        """How to run one of the passes."""
        if name is self.reference and Technique.FOLDED_SEG in self.acting:
            return Row(name, Attention.BLURRED)
        return _WEAKENED.get(name, Row(name))
