"""Negative LoRAs in one sampling pass of a WebUI: on the negative's rows of the host's own model calls.

Hooks hang on the model only while the pass's CFGDenoiser, which hosts make anew for every pass, runs its forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from lib_sticky.hosts.neglora import Asked
from lib_sticky.lora.sides import SidedLoras

Open = Callable[[nn.Module], SidedLoras]
"""From the UNet that runs to the LoRAs for its layers; asked again where a refiner brings another UNet."""

_UNCOND = 1
"""How the Forge family marks the negative in `cond_or_uncond`."""


class NegLoraPass:
    """Wraps the denoiser of the pass that `p` is in; `unet` gives the UNet that runs."""

    def __init__(self, p: Any, wanted: Asked, unet: Callable[[], nn.Module], open_loras: Open) -> None:
        self._denoiser = p.sampler.model_wrap_cfg
        self._wanted, self._unet, self._open = wanted, unet, open_loras
        self._opened: tuple[nn.Module, SidedLoras] = (unet(), open_loras(unet()))
        self._calls = ExitStack()
        self._params: Any = None
        self._done = 0
        self._acts = False
        self._forward: Callable[..., Any] = self._denoiser.forward
        self._denoiser.forward = self.forward

    @property
    def loras(self) -> SidedLoras:
        """The LoRAs, opened for the UNet that ran last."""
        return self._opened[1]

    @property
    def sides_differ(self) -> bool:
        """Whether one conditioning is predicted differently on the two sides in the call that begins."""
        return self._acts and not self._wanted.both

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The denoiser's own forward; what `before` hung on the model is taken off again, also after an error."""
        with ExitStack() as self._calls:
            return self._forward(*args, **kwargs)

    def before(self, params: Any) -> None:
        """Hook the LoRAs to the model for this forward, if they act on this step; `params` is CFGDenoiserParams."""
        denoiser = self._denoiser
        self._acts = self._wanted.act(denoiser.step, max(denoiser.total_steps, 1))
        if not self._acts:
            return
        unet = self._unet()
        if unet is not self._opened[0]:
            self._opened = (unet, self._open(unet))
        self._params, self._done = params, 0
        self._calls.enter_context(self.loras.attached())
        self._calls.callback(unet.register_forward_pre_hook(self._choose, with_kwargs=True).remove)

    def _choose(self, _unet: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Say which rows of the call that begins are the negative's."""
        rows = args[0].shape[0]
        marks = (kwargs.get("transformer_options") or {}).get("cond_or_uncond")
        if marks:
            self.loras.choose_rows([mark == _UNCOND for mark in marks for _ in range(rows // len(marks))])
            return
        if self._done < self._params.x.shape[0]:
            self.loras.choose_rows([self._is_negative(self._done + row) for row in range(rows)])
        else:
            self.loras.choose_rows([self._has_negatives_text(kwargs.get("context"))] * rows)
        self._done += rows

    def _is_negative(self, row: int) -> bool:
        """Of A1111's rows, which it runs in order, in one call or several.

        Read now and not in `before`: callbacks after ours may have added rows of the prompt.
        """
        total, prompts = self._params.x.shape[0], self._params.text_cond.shape[0]
        return prompts <= row < total

    def _has_negatives_text(self, context: Any) -> bool:
        """Whether a further call, such as SAG's second one or another extension's, is one of the negative again."""
        text = self._params.text_uncond
        text = text["crossattn"] if isinstance(text, Mapping) else text
        return isinstance(context, Tensor) and context.shape == text.shape and torch.equal(context, text.to(context))
