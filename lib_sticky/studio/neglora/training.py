"""One training run in one folder: model, latents and factors, states to go on from, samples, the finished file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from lib_sticky.hosts.diffusers import Cond, Diffusers
from lib_sticky.hosts.diffusers_loras import pipe_text_places
from lib_sticky.lab.dataset import DatasetError, Example
from lib_sticky.lab.demo.plot import save_loss_plot
from lib_sticky.lab.demo.run_folder import RunFolder
from lib_sticky.lora.adapters import adapters_for, trained_layers
from lib_sticky.lora.extract import BASE_VERSION
from lib_sticky.lora.files import write_lora
from lib_sticky.lora.places import unet_file_places
from lib_sticky.lora.rows import RowBranches, Rows
from lib_sticky.lora.train import Trainer
from lib_sticky.studio.checkpoint import kind_of
from lib_sticky.studio.models import open_model
from lib_sticky.studio.neglora.identity import model_hash
from lib_sticky.studio.neglora.kohya import write_configuration
from lib_sticky.studio.neglora.samples import save_samples
from lib_sticky.studio.neglora.train import Plan

_STATE = "state"
_ALL = Rows(1, ((0, 1),))
_BASE = {**BASE_VERSION, "demo": "sticky_demo"}
_DIFFUSERS_NAMES = ("sd1", "sd2")
"""Kohya's trainer names the UNet's layers as diffusers does for these, as LDM does for SDXL."""
_WIDTH_OF_SD2 = 1024


@dataclass(frozen=True)
class Run:
    """A run that has begun; its factors are hooked to the model."""

    host: Diffusers
    model: Path
    pictures: Sequence[Example]
    plan: Plan
    folder: RunFolder
    trainer: Trainer
    branches: RowBranches
    about: Mapping[str, Any]

    @classmethod
    def begin(cls, model: Path, pictures: Sequence[Example], plan: Plan, out: Path) -> Run:
        """Open the model and the pictures, and go on from the state in `out`, if there is one of this very run.

        Raises ModelError for a model that cannot be opened, DatasetError for pictures that cannot be, and where `out`
        holds the state of another run.
        """
        host = open_model(model, torch.bfloat16 if plan.bf16 else torch.float32)
        size = plan.size or host.native_size()
        about = _about(model, pictures, plan, size)
        unet, encoders = host.pipe.unet, _encoders(host)
        for part in (unet, *encoders, host.pipe.vae):
            part.requires_grad_(False)
        unet.train()
        if plan.checkpointing:
            unet.enable_gradient_checkpointing()
        layers = trained_layers(unet_file_places(unet, ldm=_kind(host, model) not in _DIFFUSERS_NAMES))
        layers |= trained_layers(pipe_text_places(host.pipe)) if plan.text_encoder else {}
        adapters = adapters_for(layers, plan.rank, plan.alpha, plan.pace.seed)
        branches = RowBranches({layers[name]: [adapter] for name, adapter in adapters.items()}).attach()
        captions = [example.caption for example in pictures]
        predict = _Predict(host, captions, (size, size), trained=plan.text_encoder)
        velocity = host.pipe.scheduler.config.prediction_type == "v_prediction"
        alphas = torch.from_numpy(np.array(host.alphas()))
        latents = _latents(host, pictures, size)
        trainer = Trainer(adapters, latents, predict, alphas, plan.pace, velocity=velocity)
        run = cls(host, model, pictures, plan, RunFolder(out), trainer, branches, about)
        run._resume()
        return run

    def steps(self) -> Iterator[float]:
        """The losses of the steps that are left; states and samples are written on the way."""
        pace = self.plan.pace
        while len(self.trainer.losses) < pace.steps:
            with self.branches.on(_ALL):  # Around the whole step: checkpointing runs layers again on the way back.
                loss = self.trainer.step()
            yield loss
            done = len(self.trainer.losses)
            if done % self.plan.save_every == 0 or done == pace.steps:
                self.keep()
            if self.plan.sample_every and (done % self.plan.sample_every == 0 or done == pace.steps):
                self._sample(done)

    def keep(self) -> None:
        """Save the state and the loss plot."""
        self.folder.save(_STATE, {"about": json.dumps(self.about, sort_keys=True), **self.trainer.state()})
        if self.trainer.losses:
            save_loss_plot(self.trainer.losses, self.folder.path / "loss.png", self.plan.name)

    def finish(self) -> Path:
        """Write the LoRA and a configuration for kohya's trainer; the LoRA's path."""
        self.branches.remove()
        size, is_xl = int(self.about["size"]), self.host.is_xl
        write_configuration(self.folder.path, self.model, self.pictures, self.plan, size, is_xl)
        return self._write(self.folder.path / f"{self.plan.name}.safetensors")

    def _write(self, path: Path) -> Path:
        tensors: dict[str, Tensor] = {}
        for name, adapter in self.trainer.adapters.items():
            tensors |= adapter.tensors(name)
        write_lora(path, tensors, self._metadata(), overwrite=True)
        return path

    def _sample(self, step: int) -> None:
        """Sample with the factors as they would be saved now."""
        folder = self.folder.path / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        lora = self._write(folder / f"step-{step:06d}.safetensors")
        word = self.pictures[0].caption
        self.host.pipe.unet.eval()
        save_samples(self.host, lora, self.plan.sample_prompt, word, lora.with_suffix(".png"), step)
        self.host.pipe.unet.train()

    def _resume(self) -> None:
        if not self.folder.has(_STATE):
            return
        state = self.folder.load(_STATE)
        before = json.loads(state["about"])
        other = sorted(name for name in {**before, **self.about} if before.get(name) != self.about.get(name))
        if other:
            raise DatasetError(f"{self.folder.path} holds a run with another {', '.join(other)}; name another --out")
        self.trainer.resume(state)

    def _metadata(self) -> dict[str, str]:
        plan, kind = self.plan, _kind(self.host, self.model)
        captions = {example.caption for example in self.pictures}
        counted = {caption: sum(example.caption == caption for example in self.pictures) for caption in captions}
        return {
            "ss_network_module": "networks.lora",
            "ss_network_dim": str(plan.rank),
            "ss_network_alpha": str(plan.alpha),
            "ss_base_model_version": _BASE[kind],
            "ss_sd_model_name": self.model.name,
            "ss_new_sd_model_hash": str(self.about["model sha256"]),
            "ss_output_name": plan.name,
            "ss_learning_rate": str(plan.pace.rate),
            "ss_max_train_steps": str(plan.pace.steps),
            "ss_steps": str(len(self.trainer.losses)),
            "ss_seed": str(plan.pace.seed),
            "ss_num_train_images": str(len(self.pictures)),
            "ss_resolution": f"({self.about['size']}, {self.about['size']})",
            "ss_tag_frequency": json.dumps({"pictures": counted}),
            "ss_training_comment": "negative LoRA, made with sd-webui-sticky",
        }


class _Predict:
    """The model's raw output for examples; what their captions say is encoded once, unless it is trained too."""

    def __init__(self, host: Diffusers, captions: Sequence[str], size: tuple[int, int], *, trained: bool) -> None:
        self._host, self._captions, self._size = host, captions, size
        with torch.no_grad():
            self._known = {} if trained else {text: self._encoded(text) for text in dict.fromkeys(captions)}

    def __call__(self, noisy: Tensor, times: Tensor, rows: list[int]) -> Tensor:
        texts = [self._captions[row] for row in rows]
        conds = self._known or {text: self._encoded(text) for text in dict.fromkeys(texts)}
        return self._host.output(noisy, times, [conds[text] for text in texts])

    def _encoded(self, text: str) -> Cond:
        return self._host.encoded([text], self._size)[0]


def _encoders(host: Diffusers) -> list[Any]:
    return [host.pipe.text_encoder, *([host.pipe.text_encoder_2] if host.is_xl else [])]


def _kind(host: Diffusers, model: Path) -> str:
    if not model.is_dir():
        return kind_of(model)
    width = host.pipe.unet.config.cross_attention_dim
    return "sdxl" if host.is_xl else "sd2" if width == _WIDTH_OF_SD2 else "sd1"


def _about(model: Path, pictures: Sequence[Example], plan: Plan, size: int) -> dict[str, Any]:
    """What has to be the same for a run to go on; how long it goes on may change."""
    settings = asdict(replace(plan, pace=replace(plan.pace, steps=0), size=size, sample_every=0, save_every=0))
    pace = settings.pop("pace")
    names = [f"{example.path.name} {example.caption}" for example in pictures]
    return {**settings, **pace, "model sha256": model_hash(model), "pictures": names}


@torch.no_grad()
def _latents(host: Diffusers, pictures: Sequence[Example], size: int) -> Tensor:
    """The pictures as the model sees them, float32 [N, 4, h, w]: the middle of each, at `size`."""
    vae = host.pipe.vae
    made: list[Tensor] = []
    for example in pictures:
        try:
            with Image.open(example.path) as opened:
                picture = ImageOps.fit(opened.convert("RGB"), (size, size), Image.Resampling.LANCZOS)
        except OSError as error:
            raise DatasetError(f"{example.path} cannot be opened as a picture: {error}") from error
        values = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        found = vae.encode(values.to(vae.device, vae.dtype)).latent_dist.mean
        made.append(found.float() * vae.config.scaling_factor)
    return torch.cat(made).to(host.device)
