"""Pipelines of random weights, small enough to sample in a fraction of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from lib_sticky.hosts.diffusers import Diffusers

VOCABULARY = Path(__file__).resolve().parents[2] / "models" / "sticky-demo" / "text_encoder"
WIDTH = 32


def _tokenizer(pad: str) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(str(VOCABULARY), pad_token=pad, local_files_only=True)


def _text_encoder(family: Any) -> Any:
    config = CLIPTextConfig(
        vocab_size=49408, hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=3, num_attention_heads=4,
        projection_dim=WIDTH, bos_token_id=49406, eos_token_id=49407, pad_token_id=1,
    )  # fmt: skip
    encoder = family(config)
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if "norm" in name:
                # Fresh norms make the mean that emphasis restores zero.
                weight.copy_(1 + 0.3 * torch.randn(weight.shape))
    return encoder.eval()


def _components(unet: dict[str, Any]) -> dict[str, Any]:
    return {
        "unet": UNet2DConditionModel(
            sample_size=8, block_out_channels=(16, 16), layers_per_block=1, norm_num_groups=4, attention_head_dim=4,
            down_block_types=("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2, **unet,
        ).eval(),
        "vae": AutoencoderKL(
            block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=4, latent_channels=4, sample_size=16,
        ).eval(),
        "scheduler": EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        "text_encoder": _text_encoder(CLIPTextModel),
        "tokenizer": _tokenizer("<|endoftext|>"),
    }  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny models gain nothing from threads that wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sd1() -> Diffusers:
    torch.manual_seed(0)
    parts = _components({"cross_attention_dim": WIDTH})
    return Diffusers(
        StableDiffusionPipeline(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    )


@pytest.fixture(scope="session")
def sdxl() -> Diffusers:
    torch.manual_seed(1)
    parts = _components(
        {
            "cross_attention_dim": 2 * WIDTH, "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": WIDTH + 6 * 8,
        }
    )  # fmt: skip
    return Diffusers(
        StableDiffusionXLPipeline(
            **parts, text_encoder_2=_text_encoder(CLIPTextModelWithProjection), tokenizer_2=_tokenizer("!")
        )
    )


@pytest.fixture(params=["sd1", "sdxl"])
def host(request: pytest.FixtureRequest) -> Diffusers:
    return request.getfixturevalue(request.param)
