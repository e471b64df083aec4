"""The guided prediction of one step: every pass in one call of the model, SAG's in a second, then `combine`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_sticky.guidance.cfg import compose
from lib_sticky.guidance.combine import Guided, combine
from lib_sticky.guidance.displace import State
from lib_sticky.guidance.null import same_conditioning
from lib_sticky.guidance.passes import Pass, Plan, Row, Step
from lib_sticky.guidance.plan import plan_step
from lib_sticky.guidance.sag import Degraded, attention_mask, degrade, degraded_input
from lib_sticky.guidance.selection import Selection, Technique
from lib_sticky.hosts.diffusers import Cond, Diffusers
from lib_sticky.hosts.unet_hooks import Wanted
from lib_sticky.lora.sides import SidedLoras
from lib_sticky.studio.conditions import Conditions
from lib_sticky.studio.noise_levels import Grid

Own = Sequence[Sequence[Cond]]
"""The conditionings of every image: one, or one for each part of an AND prompt."""


@dataclass(frozen=True)
class _Row:
    """One row of the model's batch."""

    name: Pass
    image: int
    cond: Cond
    how: Row


@dataclass(frozen=True)
class Side:
    """The negative LoRAs of a job, if any, and on which steps they act."""

    loras: SidedLoras | None
    steps: Sequence[bool]
    both: bool

    def parts(self, index: int) -> bool:
        """Whether one conditioning is predicted differently on the two sides."""
        return self.loras is not None and self.steps[index] and not self.both

    def on(self, negative: Sequence[bool], index: int) -> AbstractContextManager[None]:
        """Act on the model call made inside, whose batch has a `negative` for each row."""
        return self.loras.on_rows(negative) if self.loras and self.steps[index] else nullcontext()


class Guide:
    """Predicts for a batch of images, step after step; keeps what one step leaves for the next."""

    def __init__(
        self,
        host: Diffusers,
        images: Sequence[Conditions],
        grid: Grid,
        cfg: float,
        selection: Selection,
        side: Side,
    ) -> None:
        self._host, self._images, self._grid = host, images, grid
        self._cfg, self._selection, self._side = cfg, selection, side
        self._state = State()
        self._last: tuple[Mapping[Pass, Tensor], Guided] | None = None

    def last(self) -> tuple[Mapping[Pass, Tensor], Guided]:
        """The predictions of the last call and what was made of them."""
        if self._last is None:
            raise RuntimeError("no step was made yet")
        return self._last

    def __call__(self, x: Tensor, index: int) -> Guided:
        own = {
            Pass.COND: [image.prepared.conds(index) for image in self._images],
            Pass.UNCOND: [[image.prepared.negative.at(index)] for image in self._images],
            Pass.NULL: [[image.empty.at(index)] for image in self._images],
        }
        plan = plan_step(self._selection, self._step(index, own))
        rows = list(_rows(plan, own))
        watched = tuple(i for i, row in enumerate(rows) if row.name is plan.sag_base) if self._sees(plan) else ()
        found, attention = self._run(x, index, plan, rows, watched)
        predictions = self._by_pass(found, rows, plan)
        degraded = None if attention is None else self._degraded(x, index, plan, own, predictions, attention)
        guided = combine(self._selection, plan, x, predictions, self._state, degraded)
        self._state = guided.state
        self._last = (predictions, guided)
        return guided

    def _step(self, index: int, own: Mapping[Pass, Own]) -> Step:
        composed = any(weights != [1] for weights in self._weights())

        def same(other: Pass) -> bool:
            pairs = zip(own[Pass.COND], own[other], strict=True)
            return not composed and all(same_conditioning(ours[0], theirs[0]) for ours, theirs in pairs)

        return Step(
            index,
            len(self._grid.timesteps),
            self._cfg,
            cond_equals_uncond=same(Pass.UNCOND) and not self._side.parts(index),
            cond_equals_null=same(Pass.NULL),
            and_prompt=composed,
            sigma=self._grid.sigmas[index],
            sigma_next=self._grid.sigmas[index + 1],
        )

    def _weights(self) -> list[list[float]]:
        """The weights of every image's parts."""
        return [[part.weight for part in image.prepared.parts] for image in self._images]

    def _sees(self, plan: Plan) -> bool:
        """Whether SAG can be done: with an AND prompt only where it degrades the negative, which is one row."""
        return plan.degraded and not (plan.step.and_prompt and plan.sag_base is Pass.COND)

    def _run(
        self, x: Tensor, index: int, plan: Plan, rows: Sequence[_Row], watched: tuple[int, ...]
    ) -> tuple[Tensor, Tensor | None]:
        wanted = Wanted(
            [row.how for row in rows],
            (x.shape[-2], x.shape[-1]),
            index,
            self._selection.seg.sigma if self._selection.seg else 0.0,
            self._selection.freeu if Technique.FREEU in plan.acting else None,
            watched,
        )
        images, conds = [row.image for row in rows], [row.cond for row in rows]
        negative = [row.how.conditioning is Pass.UNCOND for row in rows]
        with self._side.on(negative, index):
            return self._host.watched(x[images], self._grid.sigmas[index], self._grid.timesteps[index], conds, wanted)

    def _by_pass(self, found: Tensor, rows: Sequence[_Row], plan: Plan) -> dict[Pass, Tensor]:
        """One prediction an image for each pass: that of its row, or the sum over the parts of an AND prompt."""
        split = {name: self._by_image(found, rows, name) for name in plan.passes}
        away = split.get(Pass.NULL, split.get(Pass.UNCOND))
        return {
            name: torch.stack([values[0] for values in images])
            if away is None or plan.row(name).conditioning is not Pass.COND
            else torch.stack([compose(v, w, a[0]) for v, w, a in zip(images, self._weights(), away, strict=True)])
            for name, images in split.items()
        }

    def _by_image(self, found: Tensor, rows: Sequence[_Row], name: Pass) -> list[list[Tensor]]:
        return [
            [found[i] for i, row in enumerate(rows) if row.name is name and row.image == image]
            for image in range(len(self._images))
        ]

    def _degraded(
        self,
        x: Tensor,
        index: int,
        plan: Plan,
        own: Mapping[Pass, Own],
        predictions: Mapping[Pass, Tensor],
        attention: Tensor,
    ) -> Degraded | None:
        """SAG's second call, on the blurred prediction under the same noise."""
        settings, base = self._selection.sag, plan.sag_base
        if settings is None:
            return None
        mask = attention_mask(attention, x.shape[-2], x.shape[-1], settings.threshold)
        image = degrade(predictions[base], mask.to(x), settings.sigma)
        rows = [_Row(base, i, conds[0], Row(base)) for i, conds in enumerate(own[base])]
        again, _ = self._run(degraded_input(x, predictions[base], image), index, plan, rows, ())
        return Degraded(image, again)


def _rows(plan: Plan, own: Mapping[Pass, Own]) -> list[_Row]:
    """The rows of the one call: pass by pass, image by image, part by part."""
    return [
        _Row(name, image, cond, how)
        for name in plan.passes
        for how in [plan.row(name)]
        for image, conds in enumerate(own[how.conditioning])
        for cond in conds
    ]
