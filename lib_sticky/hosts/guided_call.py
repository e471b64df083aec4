"""One model call of a WebUI as guidance sees it: which rows it has, and the form that its predictions come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lib_sticky.guidance import space
from lib_sticky.guidance.cfg import compose
from lib_sticky.guidance.passes import Pass, Plan, Row


@dataclass(frozen=True)
class Form:
    """How a sampler's latents and predictions are written.

    alpha: the cumulative product of the timestep where they are noise (DDIM and its kin); None where the model hands
    over denoised images of latents with variance that explodes (k-diffusion).
    """

    sigma: float
    alpha: float | None = None

    def latents(self, x: Tensor) -> Tensor:
        """The sampler's latents as x0 + sigma * noise."""
        return x if self.alpha is None else space.exploding(x, self.alpha)

    def denoised(self, x: Tensor, predicted: Tensor) -> Tensor:
        """The model's output for the sampler's latents x as a denoised image."""
        return predicted if self.alpha is None else space.denoised(x, predicted, self.alpha)

    def predicted(self, x: Tensor, image: Tensor) -> Tensor:
        """A denoised image in the form of the model's output."""
        return image if self.alpha is None else space.noise(x, image, self.alpha)

    def back(self, x: Tensor) -> Tensor:
        """Latents x0 + sigma * noise as the sampler writes them."""
        return x if self.alpha is None else x * self.alpha**0.5


@dataclass(frozen=True)
class Layout:
    """The rows of a call in order: the parts of every image's prompt, `extra` passes, the negative of every image.

    prompts: rows of all parts. parts: rows and weights of those of each image that count. negative: whether its rows
    are run by the host.
    """

    plan: Plan
    prompts: int
    parts: tuple[tuple[tuple[int, float], ...], ...]
    extra: tuple[Pass, ...]
    negative: bool

    @property
    def images(self) -> int:
        """How many there are."""
        return len(self.parts)

    def sources(self, name: Pass) -> list[int]:
        """For each row of an extra pass the row of the prompts that it repeats; of NULL the image's first."""
        if name is Pass.NULL:
            return [own[0][0] for own in self.parts]
        return list(range(self.prompts))

    def rows(self) -> list[Row]:
        """How each row is run."""
        found = [self.plan.row(Pass.COND)] * self.prompts
        for name in self.extra:
            found += [self.plan.row(name)] * len(self.sources(name))
        return found + [self.plan.row(Pass.UNCOND)] * (self.images if self.negative else 0)

    def first(self, name: Pass) -> int:
        """Where the rows of a pass begin."""
        if name is Pass.COND:
            return 0
        before = self.extra if name is Pass.UNCOND else self.extra[: self.extra.index(name)]
        return self.prompts + sum(len(self.sources(other)) for other in before)

    @property
    def watched(self) -> Pass | None:
        """The pass whose attention SAG needs; None without it, and where an AND prompt would need several rows."""
        base = self.plan.sag_base
        composed = base is Pass.COND and self.prompts != self.images
        return base if self.plan.degraded and not composed else None

    def predictions(self, x: Tensor, out: Tensor, form: Form) -> dict[Pass, Tensor]:
        """One denoised image for each image and planned pass; x [images], out [rows] in the sampler's form."""
        ran = [name for name in self.plan.passes if name is not Pass.UNCOND or self.negative]
        found = {name: self._images(name, x, out, form) for name in ran}
        away = found.get(Pass.NULL, found.get(Pass.UNCOND))
        return {name: self._composed(name, values, away) for name, values in found.items()}

    def _images(self, name: Pass, x: Tensor, out: Tensor, form: Form) -> list[Tensor]:
        first = self.first(name)
        if self.plan.row(name).conditioning is not Pass.COND:
            return list(form.denoised(x, out[first : first + self.images]))
        return [form.denoised(x[i : i + 1], out[[first + row for row, _ in own]]) for i, own in enumerate(self.parts)]

    def _composed(self, name: Pass, values: Sequence[Tensor], away: Sequence[Tensor] | None) -> Tensor:
        if self.plan.row(name).conditioning is not Pass.COND:
            return torch.stack(list(values))
        if away is None:
            return torch.stack([value[0] for value in values])
        weights = [[weight for _, weight in own] for own in self.parts]
        return torch.stack([compose(v.unbind(), own, a) for v, own, a in zip(values, weights, away, strict=True)])
