"""The single file: LDM names on the outside, the same network when diffusers reads it back."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from lib_sticky.lab.demo.layout import (  # noqa: E402
    MODEL_DIR,
    alphas_cumprod,
    new_autoencoder,
    new_text_encoder,
    new_unet,
    tokenizer,
)
from lib_sticky.lab.demo.ldm_form import save, schedule_buffers, unet_state, vae_key  # noqa: E402
from lib_sticky.studio.checkpoint import kind_of, load_sd  # noqa: E402


@pytest.fixture(scope="module")
def single_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, torch.Tensor]]]:
    torch.manual_seed(3)
    unet, vae, text = new_unet(), new_autoencoder(), new_text_encoder()
    path = tmp_path_factory.mktemp("form") / "model.safetensors"
    save(path, unet, vae, text, {"note": "test"})
    return path, {"unet": unet.state_dict(), "vae": vae.state_dict(), "text_encoder": text.state_dict()}


def test_diffusers_reads_back_every_weight(single_file: tuple[Path, dict[str, dict[str, torch.Tensor]]]) -> None:
    path, parts = single_file
    pipe = load_sd(path)
    for name, wanted in parts.items():
        found = getattr(pipe, name).state_dict()
        assert set(found) == set(wanted)
        for key, value in wanted.items():
            assert torch.equal(found[key], value.half().float()), (name, key)
    assert pipe.vae.config.scaling_factor == 0.18215
    assert pipe.scheduler.config.prediction_type == "epsilon"


def test_key_names_are_those_of_the_published_sd1_files() -> None:
    assert {
        "time_embed.0.weight", "input_blocks.0.0.bias", "input_blocks.1.0.in_layers.2.weight",
        "input_blocks.1.1.proj_in.weight", "middle_block.2.out_layers.0.bias",
        "output_blocks.0.0.skip_connection.weight",
        "output_blocks.1.0.emb_layers.1.bias", "out.2.weight",
    } <= set(unet_state(new_unet()))  # fmt: skip
    assert vae_key("decoder.up_blocks.0.resnets.0.conv1.weight") == "decoder.up.3.block.0.conv1.weight"
    assert vae_key("encoder.mid_block.attentions.0.to_out.0.bias") == "encoder.mid.attn_1.proj_out.bias"


def test_what_ldm_does_not_have_is_refused() -> None:
    unet = new_unet()
    unet.controlnet = torch.nn.Linear(1, 1)
    with pytest.raises(ValueError, match=r"'controlnet\.weight' has no place"):
        unet_state(unet)


def test_buffers_follow_ddpm() -> None:
    buffers = schedule_buffers()
    kept = torch.cumprod(1 - buffers["betas"].double(), 0)
    assert float(buffers["betas"][0]) == pytest.approx(0.00085, rel=1e-4)
    assert float(buffers["betas"][-1]) == pytest.approx(0.012, rel=1e-4)
    assert torch.allclose(kept.float(), alphas_cumprod(), rtol=1e-4)
    total = buffers["posterior_mean_coef1"] + buffers["posterior_mean_coef2"] * buffers["sqrt_alphas_cumprod"]
    assert torch.allclose(total, buffers["alphas_cumprod_prev"].sqrt(), atol=1e-5)


def test_attention_sits_at_every_resolution_and_in_the_mid_block() -> None:
    names = [name for name, _ in new_unet().named_modules() if name.endswith(("attn1", "attn2"))]
    blocks = {name.split(".attentions")[0] for name in names}
    assert blocks == {"down_blocks.0", "mid_block", "up_blocks.0"}
    assert {name.rsplit(".", 1)[1] for name in names if name.startswith("mid_block")} == {"attn1", "attn2"}


def test_the_tokenizer_is_clips() -> None:
    found = tokenizer()("a photo of a cat")["input_ids"]
    assert found == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert len(tokenizer()) == 49408


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "lora.safetensors"
    save_file({"lora_unet.up": torch.zeros(1)}, str(other))
    with pytest.raises(ValueError, match=r"lora\.safetensors"):
        load_sd(other)
    with pytest.raises(FileNotFoundError, match="nothing"):
        load_sd(tmp_path / "nothing.safetensors")
    pickle = tmp_path / "model.ckpt"
    pickle.write_bytes(b"x")
    with pytest.raises(ValueError, match="safetensors"):
        load_sd(pickle)


def test_the_shipped_model_is_small_and_whole() -> None:
    path = MODEL_DIR / "sticky-demo.safetensors"
    assert path.stat().st_size < 25_000_000
    assert kind_of(path) == "demo"
    state = load_file(str(path))
    assert all(bool(torch.isfinite(value).all()) for value in state.values() if value.is_floating_point())
    assert "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight" in state
