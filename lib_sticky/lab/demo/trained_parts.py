"""The parts of the model that a run has trained so far."""

from __future__ import annotations

from diffusers import AutoencoderKL
from transformers import CLIPTextModel

from lib_sticky.lab.demo.layout import new_autoencoder, new_text_encoder
from lib_sticky.lab.demo.number_format import quick_format
from lib_sticky.lab.demo.run_folder import RunFolder


def autoencoder(run: RunFolder) -> AutoencoderKL:
    """The encoder, and the decoder if it was trained yet, in `quick_format`."""
    vae = new_autoencoder()
    vae.load_state_dict(run.load("encoder"))
    if run.has("decoder"):
        parts = run.load("decoder")
        vae.decoder.load_state_dict(parts["decoder"])
        vae.post_quant_conv.load_state_dict(parts["post_quant_conv"])
    return vae.to(quick_format()).eval()


def text_encoder(run: RunFolder) -> CLIPTextModel:
    """The text encoder."""
    text = new_text_encoder()
    text.load_state_dict(run.load("text"))
    return text.eval()
