"""The mathematics of every guidance technique: pure tensors, no host. docs/GUIDANCE.md has the formulas."""

from __future__ import annotations

from .combine import Guided, Record, combine
from .displace import State
from .passes import Pass, Plan, Row, Step
from .plan import plan_step
from .selection import Inert, Selection, Technique

__all__ = [
    "Guided",
    "Inert",
    "Pass",
    "Plan",
    "Record",
    "Row",
    "Selection",
    "State",
    "Step",
    "Technique",
    "combine",
    "plan_step",
]
