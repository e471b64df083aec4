"""The matrix of must-hold 2: what is asked with the box ticked, and the same negative typed by hand.

The by-hand texts are written out here, not made by the code under test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.live.webui import EMBEDDING, LORA, SIZE, STEPS, STYLE, encoded

TERMS = "blurry, (bad:1.2)"
LONG = ", ".join(f"word{i} thing" for i in range(40))
STICKY = {"enabled": True, "terms": TERMS}
GUIDED = {"pag": 1.0, "tpg": 1.0, "sag": 0.5, "freeu": "version 2", "seg": "own pass", "rescale": 0.5}
"""Guidance of every kind: further passes, hooks in the model, a change of what was combined."""


@dataclass(frozen=True)
class Case:
    """`payload` with `sticky` must give the pixels of `payload` with `by_hand` and no extension."""

    name: str
    prompt: str
    by_hand: str
    negative: str = ""
    sticky: dict[str, Any] = field(default_factory=lambda: dict(STICKY))
    extra: dict[str, Any] = field(default_factory=dict)
    extra_by_hand: dict[str, Any] = field(default_factory=dict)

    def payload(self) -> dict[str, Any]:
        return {**base(), "prompt": self.prompt, "negative_prompt": self.negative, **self.extra}

    def payload_by_hand(self) -> dict[str, Any]:
        return {**self.payload(), "negative_prompt": self.by_hand, **self.extra_by_hand}


def base() -> dict[str, Any]:
    return {
        "seed": 7,
        "steps": STEPS,
        "width": SIZE,
        "height": SIZE,
        "cfg_scale": 9,
        "sampler_name": "Euler",
        "scheduler": "Automatic",
        "save_images": False,
        "styles": [],
    }


def picture() -> np.ndarray:
    ramp = np.linspace(0, 255, SIZE).astype(np.uint8)
    return np.stack(
        [np.tile(ramp, (SIZE, 1)), np.tile(ramp[:, None], (1, SIZE)), np.full((SIZE, SIZE), 90, np.uint8)], -1
    )


def mask() -> np.ndarray:
    found = np.zeros((SIZE, SIZE, 3), np.uint8)
    found[SIZE // 4 : SIZE // 2] = 255
    return found


HIRES = {
    "enable_hr": True,
    "hr_scale": 1.5,
    "hr_upscaler": "Latent",
    "denoising_strength": 0.7,
    "hr_second_pass_steps": STEPS,
    "hr_additional_modules": ["Use same choices"],
    "hr_cfg": 9,
}
IMG2IMG = {"init_images": [encoded(picture())], "denoising_strength": 0.8}
INPAINT = {**IMG2IMG, "mask": encoded(mask()), "inpainting_fill": 1, "mask_blur": 0}


def cases() -> list[Case]:
    plain = "a cat, blurry, (bad:1.2)"
    found = [
        Case("plain", "a cat", plain),
        Case("weights", "a (red:1.3) [cat] ((now))", "a (red:1.3) [cat] ((now)), blurry, (bad:1.2)"),
        Case("[a:b:0.5]", "a [cat:dog:0.5] here", "a [cat:dog:0.5] here, blurry, (bad:1.2)"),
        Case("[a|b]", "a [cat|dog] here", "a [cat|dog] here, blurry, (bad:1.2)"),
        Case("nested edit", "[a [red:blue:0.4] cat::0.8]", "[a [red:blue:0.4] cat::0.8], blurry, (bad:1.2)"),
        Case("AND", "a cat AND a dog :0.7", "a cat BREAK a dog, blurry, (bad:1.2)"),
        Case("BREAK", "a cat BREAK a dog", "a cat BREAK a dog, blurry, (bad:1.2)"),
        Case("over 75 tokens", LONG, f"{LONG}, blurry, (bad:1.2)"),
        Case("escapes", r"a \(cat\) \[x\]", r"a \(cat\) \[x\], blurry, (bad:1.2)"),
        Case("own negative", "a cat", "a cat, ugly [x:y:0.5], blurry, (bad:1.2)", "ugly [x:y:0.5]"),
        Case("typed already", "a cat", plain, plain),
        Case("empty prompt", "", "ugly", "ugly"),
        Case("own chunk", "a cat", "a cat BREAK blurry, (bad:1.2)", sticky={**STICKY, "placement": "own chunk"}),
        Case(
            "terms from 0.25 to 0.75",
            "a cat",
            "a cat[:[, blurry, (bad:1.2)::0.75]:0.25]",
            sticky={**STICKY, "start": 0.25, "stop": 0.75},
        ),
        Case("batch of 4 seeds", "a cat", plain, extra={"batch_size": 4}),
        Case("batch count 2", "a cat", plain, extra={"n_iter": 2}),
        Case("hires fix", "a cat", plain, extra=HIRES),
        Case(
            "hires fix, editing",
            "a [cat:dog:0.5] [x:y:1.5]",
            "a [cat:dog:0.5] [x:y:1.5], blurry, (bad:1.2)",
            extra=HIRES,
        ),
        Case(
            "hires fix, own prompts",
            "a cat",
            plain,
            extra={**HIRES, "hr_prompt": "a dog", "hr_negative_prompt": "ugly"},
            extra_by_hand={"hr_negative_prompt": "a dog, ugly, blurry, (bad:1.2)"},
        ),
        Case(
            "hires fix, sticky off there",
            "a cat",
            plain,
            "ugly",
            {**STICKY, "hires": "off"},
            extra=HIRES,
            extra_by_hand={"negative_prompt": "a cat, ugly, blurry, (bad:1.2)", "hr_negative_prompt": "ugly"},
        ),
        Case(
            "hires fix, other sampler",
            "a [cat:dog:0.5]",
            "a [cat:dog:0.5], blurry, (bad:1.2)",
            extra={**HIRES, "hr_sampler_name": "DPM++ SDE"},
        ),
        Case("img2img", "a cat", plain, extra=IMG2IMG),
        Case("inpaint", "a cat", plain, extra=INPAINT),
    ]
    found += [
        Case(
            sampler,
            "a [cat:dog:0.5]",
            "a [cat:dog:0.5], blurry, (bad:1.2)",
            extra={"sampler_name": sampler, "steps": max(STEPS, 4)},
        )
        for sampler in ("Euler a", "DPM++ 2M", "DPM++ SDE", "DDIM", "UniPC", "DDIM CFG++", "Heun")
    ]
    if LORA:
        found.append(Case("LoRA tag", f"a cat <lora:{LORA}:1>", plain))
        found.append(Case("LoRA tag, hires fix", f"a cat <lora:{LORA}:1>", plain, extra=HIRES))
    if EMBEDDING:
        found.append(Case("embedding", f"a cat {EMBEDDING}", f"a cat {EMBEDDING}, blurry, (bad:1.2)"))
    if STYLE:
        found.append(_styled())
    return found


def _styled() -> Case:
    """A style is applied to both sides by the host; by hand it is typed into both."""
    from tests.live.webui import call

    style = next(entry for entry in call("/sdapi/v1/prompt-styles") if entry["name"] == STYLE)
    prompt = _applied(style["prompt"], "a cat")
    negative = _applied(style["negative_prompt"], "ugly")
    by_hand = f"{prompt}, {negative}, {TERMS}"
    return Case(
        "style", "a cat", by_hand, "ugly", extra={"styles": [STYLE]}, extra_by_hand={"styles": [], "prompt": prompt}
    )


def _applied(style: str | None, prompt: str) -> str:
    if not style:
        return prompt
    return style.replace("{prompt}", prompt) if "{prompt}" in style else f"{prompt}, {style}"
