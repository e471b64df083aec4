"""The same training as a configuration for kohya's sd-scripts, for those who prefer that trainer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lib_sticky.lab.dataset import Example, replace_text

if TYPE_CHECKING:
    from lib_sticky.studio.neglora.train import Plan

CONFIG = "kohya.toml"
DATASET = "kohya-dataset.toml"


def write_configuration(
    folder: Path, model: Path, pictures: Sequence[Example], plan: Plan, size: int, is_xl: bool
) -> None:  # fmt: skip
    """Write `kohya.toml` and `kohya-dataset.toml` (keys: sd-scripts' train_network.py and library/config_util.py)."""
    script = "sdxl_train_network.py" if is_xl else "train_network.py"
    lines = [
        f"# accelerate launch {script} --config_file {CONFIG}",
        f"pretrained_model_name_or_path = {_text(model.resolve())}",
        f"dataset_config = {_text((folder / DATASET).resolve())}",
        f"output_dir = {_text(folder.resolve())}",
        f"output_name = {_text(plan.name + '-kohya')}",
        'save_model_as = "safetensors"',
        'network_module = "networks.lora"',
        f"network_dim = {plan.rank}",
        f"network_alpha = {plan.alpha:g}",
        f"network_train_unet_only = {_flag(not plan.text_encoder)}",
        'optimizer_type = "AdamW"',
        f"learning_rate = {plan.pace.rate:g}",
        'lr_scheduler = "constant"',
        f"max_train_steps = {plan.pace.steps}",
        f"max_grad_norm = {plan.pace.clip:g}",
        f"seed = {plan.pace.seed}",
        f"mixed_precision = {_text('bf16' if plan.bf16 else 'no')}",
        f"gradient_checkpointing = {_flag(plan.checkpointing)}",
        "sdpa = true",
    ]
    replace_text(folder / CONFIG, "\n".join(lines) + "\n")
    replace_text(folder / DATASET, _dataset(pictures, plan, size))


def _dataset(pictures: Sequence[Example], plan: Plan, size: int) -> str:
    """Every folder that holds pictures, once; captions are the text files beside them, or one for all."""
    folders = dict.fromkeys(example.path.parent.resolve() for example in pictures)
    parts = ["[general]", 'caption_extension = ".txt"', "", "[[datasets]]", f"resolution = {size}"]
    parts += [f"batch_size = {plan.pace.batch}", ""]
    for folder in folders:
        caption = next(example.caption for example in pictures if example.path.parent.resolve() == folder)
        parts += ["[[datasets.subsets]]", f"image_dir = {_text(folder)}", f"class_tokens = {_text(caption)}"]
        parts += ["num_repeats = 1", ""]
    return "\n".join(parts)


def _text(value: object) -> str:
    """A basic TOML string, whose escapes JSON shares."""
    return json.dumps(str(value))


def _flag(value: bool) -> str:
    return "true" if value else "false"
