"""Negative LoRAs on a real WebUI, against its own way of applying the same file to the whole model.

At CFG 0 a picture is the negative's prediction alone, at CFG 1 the prompt's alone: so each side is seen by itself, all
the way from noise, and the reference is another run, in which the host applies the LoRA to everything.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.live.cases import HIRES, IMG2IMG, base
from tests.live.webui import LORA, LORA_FOLDER, SIZE, Answer, Refused, call, job

pytestmark = pytest.mark.skipif(not LORA, reason="STICKY_LIVE_LORA names no LoRA of the host")

ROUNDING = 2
"""Of 255: the branch beside a layer and the weight inside of it round differently, and the VAE makes the most of it."""

EVERYWHERE = f"<lora:{LORA}:1>"
ONLY = {"neglora": LORA}
JOBS: dict[str, dict[str, Any]] = {
    "plain": {"prompt": "a cat"},
    "batch": {"prompt": "a cat", "batch_size": 3},
    "AND": {"prompt": "a cat AND a dog :0.7"},
    "long negative": {"prompt": "a cat", "negative_prompt": ", ".join(["ugly thing"] * 60)},
    "hires": {"prompt": "a cat", **HIRES},
    "img2img": {"prompt": "a cat", **IMG2IMG},
    "second order": {"prompt": "a cat", "sampler_name": "Heun"},
    "timesteps": {"prompt": "a cat", "sampler_name": "DDIM"},
}


def payload(name: str, cfg: float, **changed: Any) -> dict[str, Any]:
    found = {**base(), "negative_prompt": "ugly", **JOBS[name], "cfg_scale": cfg, **changed}
    return {**found, "hr_cfg": cfg} if name == "hires" else found


def applied(name: str, cfg: float, **changed: Any) -> Answer:
    """The same job with the host's own LoRA on both sides."""
    found = payload(name, cfg, **changed)
    return job({**found, "prompt": found["prompt"] + EVERYWHERE})


def apart(first: Answer, second: Answer) -> int:
    return max(
        int(np.abs(one.astype(int) - other.astype(int)).max())
        for one, other in zip(first.pixels, second.pixels, strict=True)
    )


@pytest.mark.parametrize("name", JOBS)
def test_the_negative_is_that_of_the_applied_model_and_the_prompt_that_of_the_plain_one(name: str) -> None:
    only, plain = job(payload(name, 0), ONLY), job(payload(name, 0))
    assert apart(only, applied(name, 0)) <= ROUNDING
    assert apart(only, plain) > 10 * ROUNDING
    if name != "AND":  # Whose weights are no 1.
        assert apart(job(payload(name, 1), ONLY), job(payload(name, 1))) <= ROUNDING


@pytest.mark.skipif(
    SIZE < 128, reason="below 128 pixels the middle block of SD 1.x has one token, and SAG nothing to blur"
)
def test_sags_second_call_has_the_lora_too() -> None:
    only = job(payload("plain", 0), {**ONLY, "sag": 0.75})
    found = payload("plain", 0)
    assert apart(only, job({**found, "prompt": found["prompt"] + EVERYWHERE}, {"sag": 0.75})) <= ROUNDING
    assert apart(only, job(found, ONLY)) > ROUNDING


def test_both_sides_are_the_hosts_own_lora() -> None:
    both = job(payload("plain", 5), {**ONLY, "neglora_side": "both sides"})
    assert apart(both, applied("plain", 5)) <= ROUNDING
    assert apart(both, job(payload("plain", 5))) > 10 * ROUNDING


def test_another_lora_acts_beside_it() -> None:
    beside = payload("plain", 0, prompt=f"a cat<lora:{LORA}:0.5>")
    together = payload("plain", 0, prompt=f"a cat<lora:{LORA}:1>")
    assert apart(job(beside, {**ONLY, "neglora_strength": 0.5}), job(together)) <= ROUNDING


def test_a_tag_is_the_field_and_stays_in_the_infotext() -> None:
    field = job(payload("plain", 5), {"neglora": f"{LORA}:0.8"})
    tag = job(payload("plain", 5, negative_prompt=f"ugly<neglora:{LORA}:0.8>"))
    assert field.raw[0] != job(payload("plain", 5)).raw[0]
    assert field.pixels[0].tobytes() == tag.pixels[0].tobytes()
    assert f"Negative prompt: ugly<neglora:{LORA}:0.8>" in tag.infotexts[0]
    assert f'"neglora":"{LORA}:0.8"' in field.infotexts[0].replace("\\", "")


@pytest.mark.parametrize("sticky", [{"neglora": f"{LORA}:0"}, {**ONLY, "neglora_start": 1.0}, {"neglora": ""}])
def test_off_is_pixel_identical_and_so_is_the_next_job(sticky: dict[str, Any]) -> None:
    before = job(payload("plain", 5))
    job(payload("plain", 5), ONLY)
    assert job(payload("plain", 5), sticky).pixels[0].tobytes() == before.pixels[0].tobytes()
    assert job(payload("plain", 5)).raw == before.raw


def test_what_is_not_there_is_refused_by_name() -> None:
    for sticky, told in (({"neglora": "no such file"}, "no such file"), ({"neglora": "wrong:much"}, "much")):
        with pytest.raises(Refused) as refused:
            job(payload("plain", 5), sticky)
        assert refused.value.status == 422 and told in refused.value.body


@pytest.mark.skipif(not LORA_FOLDER, reason="STICKY_LIVE_LORA_FOLDER does not name the host's LoRA folder")
def test_a_damaged_and_a_mismatched_file_are_refused_by_name() -> None:
    folder = Path(LORA_FOLDER)
    whole = load_file(folder / f"{LORA}.safetensors")
    files = {
        "sticky-nan": {key: value * float("nan") if "up" in key else value for key, value in whole.items()},
        "sticky-other": {key: torch.zeros(3, 5) if "down" in key else value for key, value in whole.items()},
    }
    for name, tensors in files.items():
        path = folder / f"{name}.safetensors"
        save_file(tensors, path)
        try:
            with pytest.raises(Refused) as refused:
                job(payload("plain", 5), {"neglora": name})
            assert refused.value.status == 422 and name in refused.value.body
        finally:
            path.unlink()


@pytest.mark.skipif(not LORA_FOLDER, reason="STICKY_LIVE_LORA_FOLDER does not name the host's LoRA folder")
@pytest.mark.parametrize("kind", ["LoHa", "LoKr", "full"])
def test_other_forms_act_as_the_host_applies_them(kind: str) -> None:
    """One module of each form, made for the shape of one that the host's LoRA has."""
    folder, draw = Path(LORA_FOLDER), torch.Generator().manual_seed(4)
    whole = load_file(folder / f"{LORA}.safetensors")
    name = next(key for key in whole if key.startswith("lora_unet") and "attn1_to_q.lora_up" in key).partition(".")[0]
    outputs, inputs = whole[f"{name}.lora_up.weight"].shape[0], whole[f"{name}.lora_down.weight"].shape[1]
    parts = {
        "LoHa": {
            "hada_w1_a": (outputs, 2), "hada_w1_b": (2, inputs), "hada_w2_a": (outputs, 2), "hada_w2_b": (2, inputs),
        },
        "LoKr": {"lokr_w1": (2, 2), "lokr_w2": (outputs // 2, inputs // 2)},
        "full": {"diff": (outputs, inputs)},
    }[kind]  # fmt: skip
    size = 0.6 if kind == "LoHa" else 0.3  # LoHa multiplies four of them.
    module = {f"{name}.{part}": size * torch.randn(shape, generator=draw) for part, shape in parts.items()}
    path = folder / f"sticky-form-{kind}.safetensors"  # Forge keeps what it has read of a name.
    save_file(module, path)
    try:
        call("/sdapi/v1/refresh-loras", {})
        plain = payload("plain", 0)
        only = job(plain, {"neglora": path.stem})
        assert apart(only, job({**plain, "prompt": f"a cat<lora:{path.stem}:1>"})) <= ROUNDING
        assert apart(only, job(plain)) > ROUNDING
    finally:
        path.unlink()
        call("/sdapi/v1/refresh-loras", {})
