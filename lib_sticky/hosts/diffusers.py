"""The studio's host: a diffusers Stable Diffusion 1.x or XL pipeline that reads prompts and predicts as A1111 does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lib_sticky.guidance.conditioning import CROSSATTN, stack
from lib_sticky.hosts.clip_text import batches, emphasised, one_by_one
from lib_sticky.hosts.unet_hooks import Wanted, hooked
from lib_sticky.hosts.unet_parts import parts_of
from lib_sticky.lora.sides import SidedLoras, on_text
from lib_sticky.prompt.branches import branches
from lib_sticky.prompt.schedule import schedule

Cond = Tensor | dict[str, Tensor]
"""The conditioning of one text: [T, C], or with SDXL a dict of `crossattn` [T, C], `text_embeds` and `time_ids`."""


@dataclass(frozen=True)
class Stretches:
    """One text's conditionings, each with the last step of the stretch on which it stands."""

    ends: tuple[int, ...]
    conds: tuple[Cond, ...]

    def at(self, call: int) -> Cond:
        """The conditioning of 0-based model call `call`.

        A1111 compares the 0-based call with a 1-based end (modules/prompt_parser.py, reconstruct_cond_batch), so that
        each stretch lasts one call longer than written; pictures match only with the same shift.
        """
        return next((cond for end, cond in zip(self.ends, self.conds, strict=True) if call <= end), self.conds[0])


@dataclass(frozen=True)
class Part:
    """One part of an AND prompt, with its weight."""

    stretches: Stretches
    weight: float


@dataclass(frozen=True)
class Prepared:
    """What one image is conditioned on: the parts of its prompt, and its negative."""

    parts: tuple[Part, ...]
    negative: Stretches

    def conds(self, call: int) -> list[Cond]:
        """The parts' conditionings at `call`, shorter ones filled up with their last vector (A1111's stack_conds)."""
        found = [part.stretches.at(call) for part in self.parts]
        longest = max(_crossattn(cond).shape[0] for cond in found)
        return [_filled(cond, longest) for cond in found]


def _crossattn(cond: Cond) -> Tensor:
    return cond[CROSSATTN] if isinstance(cond, dict) else cond


def _filled(cond: Cond, tokens: int) -> Cond:
    if isinstance(cond, dict):
        return {**cond, CROSSATTN: _filled_tensor(cond[CROSSATTN], tokens)}
    return _filled_tensor(cond, tokens)


def _filled_tensor(cond: Tensor, tokens: int) -> Tensor:
    return torch.cat([cond, cond[-1:].expand(tokens - cond.shape[0], -1)])


class Diffusers:
    """A loaded StableDiffusionPipeline or StableDiffusionXLPipeline."""

    name = "studio"

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self.is_xl = getattr(pipe, "text_encoder_2", None) is not None
        self._parts = parts_of(pipe.unet)

    def count_tokens(self, text: str) -> int:
        """CLIP tokens of `text` without start and end."""
        return len(self.pipe.tokenizer(text, add_special_tokens=False, truncation=False).input_ids)

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return self.pipe.unet.device

    def alphas(self) -> Any:
        """The cumulative products of 1 - beta of the training schedule, an array by timestep."""
        return self.pipe.scheduler.alphas_cumprod.cpu().numpy()

    def native_size(self) -> int:
        """Width and height, in pixels, of the pictures that the model was trained on."""
        return self.pipe.unet.config.sample_size * self._factor()

    def _factor(self) -> int:
        return 2 ** (len(self.pipe.vae.config.block_out_channels) - 1)

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """Channels, rows and columns of the latents of a picture."""
        return self.pipe.vae.config.latent_channels, height // self._factor(), width // self._factor()

    @torch.inference_mode()
    def prepare(
        self, positive: str, negative: str, steps: int, size: tuple[int, int], clip_skip: int = 1,
        loras: SidedLoras | None = None,
    ) -> Prepared:  # fmt: skip
        """Encode the two texts of one image of `size` (width, height), prompt editing for `steps` steps included.

        The texts of one prompt's stretches are encoded together, since the mean that emphasis restores is theirs.
        """
        with on_text(loras, negative=False):
            parts = tuple(
                Part(
                    self._stretches(branch.text, steps, size, clip_skip),
                    1.0 if branch.weight is None else branch.weight,
                )
                for branch in branches(positive)
            )
        with on_text(loras, negative=True):
            return Prepared(parts, self._stretches(negative, steps, size, clip_skip, negative=True))

    def _stretches(
        self, text: str, steps: int, size: tuple[int, int], clip_skip: int, *, negative: bool = False
    ) -> Stretches:
        stretches = schedule(text, steps)
        conds = self.encoded([text for _, text in stretches], size, clip_skip, negative=negative)
        return Stretches(tuple(end for end, _ in stretches), tuple(conds))

    def encoded(
        self, texts: list[str], size: tuple[int, int], clip_skip: int = 1, *, negative: bool = False
    ) -> list[Cond]:
        """The conditionings of texts without prompt editing, encoded together; gradients pass outside of `prepare`."""
        return self._encoded_xl(texts, size, negative) if self.is_xl else list(self._encoded(texts, clip_skip))

    def _encoded(self, texts: list[str], clip_skip: int) -> Tensor:
        encoder = self.pipe.text_encoder

        def encode(ids: Tensor) -> tuple[Tensor]:
            output = encoder(ids.to(encoder.device), output_hidden_states=clip_skip > 1)
            if clip_skip <= 1:
                return (output.last_hidden_state,)
            # transformers 5 took the inner `text_model` away.
            return (getattr(encoder, "text_model", encoder).final_layer_norm(output.hidden_states[-clip_skip]),)

        chunks = batches(self.pipe.tokenizer, texts)
        return torch.cat([emphasised(one_by_one(encode, ids)[0], weights) for ids, weights in chunks], dim=1)

    def _encoded_xl(self, texts: list[str], size: tuple[int, int], negative: bool) -> list[Cond]:
        """Both encoders' second last layers side by side, and the second one's pooled vector of the first chunk.

        A negative that is exactly empty is all zeros (A1111's modules/sd_models_xl.py, force_zero_negative_prompt).
        """
        first, _ = self._second_last(self.pipe.tokenizer, self.pipe.text_encoder, texts)
        second, pooled = self._second_last(self.pipe.tokenizer_2, self.pipe.text_encoder_2, texts)
        crossattn = torch.cat([first, second], dim=-1)
        if negative and not any(texts):
            crossattn, pooled = torch.zeros_like(crossattn), torch.zeros_like(pooled)
        time_ids = crossattn.new_tensor([size[1], size[0], 0, 0, size[1], size[0]])
        return [
            {CROSSATTN: text, "text_embeds": vector, "time_ids": time_ids}
            for text, vector in zip(crossattn, pooled, strict=True)
        ]

    @staticmethod
    def _second_last(tokenizer: Any, encoder: Any, texts: list[str]) -> tuple[Tensor, Tensor]:
        """The second last layer of all chunks, and the projection of the first, the encoder's last output for it."""

        def encode(ids: Tensor) -> tuple[Tensor, Tensor]:
            output = encoder(ids.to(encoder.device), output_hidden_states=True)
            return output.hidden_states[-2], output[0]

        chunks = [(one_by_one(encode, ids), weights) for ids, weights in batches(tokenizer, texts)]
        layers = [emphasised(hidden, weights) for (hidden, _), weights in chunks]
        return torch.cat(layers, dim=1), chunks[0][0][1]

    @torch.inference_mode()
    def watched(
        self, x: Tensor, sigma: float, timestep: float, conds: Sequence[Cond], wanted: Wanted
    ) -> tuple[Tensor, Tensor | None]:
        """As `denoised`, each row run as `wanted` says; and the attention that SAG needs, where it is wanted."""
        with hooked(self._parts, wanted) as seen:
            return self.denoised(x, sigma, timestep, conds), seen.attention

    @torch.inference_mode()
    def denoised(self, x: Tensor, sigma: float, timestep: float, conds: Sequence[Cond]) -> Tensor:
        """x0 predicted for the rows of `x` = x0 + sigma * noise, one conditioning a row, in one model call."""
        output = self.output(x / math.sqrt(sigma**2 + 1), torch.tensor(timestep, device=self.device), conds).to(x)
        kind = self.pipe.scheduler.config.prediction_type
        if kind == "epsilon":
            return x - output * sigma
        if kind == "v_prediction":
            return x / (sigma**2 + 1) - output * (sigma / math.sqrt(sigma**2 + 1))
        raise ValueError(f"prediction type {kind!r} of this model is not supported; use epsilon or v_prediction")

    def output(self, x: Tensor, timesteps: Tensor, conds: Sequence[Cond]) -> Tensor:
        """What the UNet itself makes of latents of unit variance, in its own precision; gradients pass."""
        unet = self.pipe.unet
        stacked = stack(conds)
        text = stacked[CROSSATTN] if isinstance(stacked, dict) else stacked
        added = {key: value for key, value in stacked.items() if key != CROSSATTN} if isinstance(stacked, dict) else {}
        return unet(
            x.to(unet.device, unet.dtype),
            timesteps,
            encoder_hidden_states=text.to(unet.dtype),
            added_cond_kwargs={key: value.to(unet.dtype) for key, value in added.items()} or None,
        ).sample

    @torch.inference_mode()
    def pictures(self, latents: Tensor) -> list[Any]:
        """8-bit RGB arrays [H, W, 3] of the latents, decoded one by one; fractions are cut off, as in A1111."""
        vae = self.pipe.vae
        return [self._picture(vae, latent) for latent in latents / vae.config.scaling_factor]

    @staticmethod
    def _picture(vae: Any, latent: Tensor) -> Any:
        decoded = vae.decode(latent[None].to(vae.device, vae.dtype)).sample[0].float()
        return (((decoded + 1) / 2).clamp(0, 1) * 255).permute(1, 2, 0).to("cpu", torch.uint8).numpy()
