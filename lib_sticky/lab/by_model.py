"""The same pictures of a comparison seen the other way round: one arm, checkpoint against checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .compare import Delta, Design, Taken, Way, deltas


@dataclass(frozen=True)
class ByModel:
    """`taken` has checkpoints for arms, and the arm in the place where settings have their checkpoint."""

    design: Design
    taken: list[Taken]
    found: list[Delta]


def by_model(taken: Sequence[Taken], about: Mapping[Way, str]) -> ByModel | None:
    """Every checkpoint against the first, arm by arm and seed by seed; None where there is only one.

    A merge is held against its parents by naming a parent first.
    """
    models = list(dict.fromkeys(each.setting.model for each in taken))
    if len(models) < 2:
        return None
    ways: Sequence[Way] = list(Way("Checkpoint", {f"M{i}": f"M{i}" for i in range(len(models))}))  # type: ignore[call-overload]
    way = dict(zip(models, ways, strict=True))
    design = Design({way[name]: name for name in models}, tuple((other, ways[0]) for other in ways[1:]))
    turned = [_turned(each, way[each.setting.model], about[each.arm]) for each in taken]
    return ByModel(design, turned, deltas(turned, design))


def _turned(each: Taken, model: Way, about: str) -> Taken:
    return replace(each, arm=model, setting=replace(each.setting, model=f"{each.arm.value} {about}"))
