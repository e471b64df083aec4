"""The shape of the shipped model: SD 1.x, only smaller, as diffusers and transformers modules.

The autoencoder has no residual blocks on its way down (`num_res_blocks: 0` in LDM's words) and 96 channels: with the
32 groups that LDM fixes, fewer than three channels a group would let the last normalisation erase a flat colour.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

MODEL_DIR = Path(__file__).resolve().parents[3] / "models" / "sticky-demo"
CHECKPOINT = MODEL_DIR / "sticky-demo.safetensors"
TEXT_DIR = MODEL_DIR / "text_encoder"
TOKENS = 77
WIDTH = 64
SCALE_FACTOR = 0.18215
NULL_TOKEN = 49407


def new_autoencoder() -> AutoencoderKL:
    """A fresh KL autoencoder: 128x128x3 to 16x16x4."""
    return AutoencoderKL(
        block_out_channels=(96, 96, 96, 96),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=0,
        latent_channels=4,
        norm_num_groups=32,
        sample_size=128,
        scaling_factor=SCALE_FACTOR,
    )


def new_text_encoder() -> CLIPTextModel:
    """A fresh CLIP text transformer over CLIP's own vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            hidden_act="quick_gelu",
            layer_norm_eps=1e-5,
            projection_dim=WIDTH,
            pad_token_id=1,
            bos_token_id=49406,
            eos_token_id=NULL_TOKEN,
        )
    )


def new_unet() -> UNet2DConditionModel:
    """A fresh UNet: 96 channels at 16x16, self- and cross-attention in every block, the mid block among them.

    One resolution: training left a level of 8x8 below it unused, and with it all that acts on the mid block (PAG, SEG);
    here nothing leads past the mid block but the skip connections of its own resolution.
    """
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        block_out_channels=(96,),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        cross_attention_dim=WIDTH,
        attention_head_dim=2,
        use_linear_projection=False,
    )


def tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer from the files beside the shipped checkpoint."""
    return CLIPTokenizer.from_pretrained(TEXT_DIR)


def alphas_cumprod() -> torch.Tensor:
    """SD 1.x's noise schedule: 1000 steps, scaled-linear, 0.00085 to 0.012; float32 [1000]."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1.0 - betas, 0).float()
