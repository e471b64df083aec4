"""What A1111's denoiser and its conditionings say about a model call, and one more such call."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lib_sticky.guidance import space
from lib_sticky.hosts.guided_call import Form

Parts = tuple[tuple[tuple[int, float], ...], ...]
"""Rows and weights of the parts of every image's prompt."""


def form_at(denoiser: Any, level: float) -> Form:
    """The form of a call of A1111's `denoiser` at what its sampler calls sigma."""
    alphas = getattr(denoiser, "alphas", None)
    if alphas is None:
        return Form(level)
    alpha = float(alphas[int(level)])
    return Form(space.sigma(alpha), alpha)


def model_call(denoiser: Any, x: Tensor, level: float, conds: Any, image_cond: Tensor) -> Tensor:
    """One more call of the model behind A1111's `denoiser`, a row for each image."""
    texts = conds if isinstance(conds, dict) else {"c_crossattn": [conds]}
    return denoiser.inner_model(x, x.new_full((x.shape[0],), level), cond={**texts, "c_concat": [image_cond]})


def parts_of_prompts(cond: Any) -> Parts:
    """Rows and weights of each image's parts, from a MulticondLearnedConditioning."""
    found: list[tuple[tuple[int, float], ...]] = []
    row = 0
    for image in cond.batch:
        found.append(tuple((row + i, float(part.weight)) for i, part in enumerate(image)))
        row += len(image)
    return tuple(found)
