"""Trains the demo model from nothing but this repository.

    python -m lib_sticky.lab.demo.train --out runs/demo

Stages, each resumable from `--out`: encoder, text, latents, decoder, unet, finish, export, and then judges and
report, which measure what came out. With `--stage` one alone runs, so that two can be trained beside each other.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel

from lib_sticky.lab.demo import evaluate, train_judges
from lib_sticky.lab.demo.autoencoder import encode, normalise, train_decoder, train_encoder
from lib_sticky.lab.demo.captions import LEVELS
from lib_sticky.lab.demo.diffusion import (
    Batches,
    Latents,
    UNetTrainer,
    captioned,
    rows_with_window,
    whole_batch,
    window_batch,
)
from lib_sticky.lab.demo.examples import CHUNK, chunk, chunk_scenes, pool
from lib_sticky.lab.demo.layout import new_autoencoder, new_text_encoder, new_unet
from lib_sticky.lab.demo.ldm_form import save
from lib_sticky.lab.demo.number_format import quick_format
from lib_sticky.lab.demo.options import STAGES, arguments
from lib_sticky.lab.demo.preview import save_preview
from lib_sticky.lab.demo.run_folder import Progress, RunFolder
from lib_sticky.lab.demo.scene import Scene
from lib_sticky.lab.demo.text_encoder import train_text_encoder
from lib_sticky.lab.demo.workers import Workers, together

UNET, FINISH = "unet", "finish"
KEEP_EVERY = 100


def encoder_stage(run: RunFolder, args: argparse.Namespace) -> None:
    """Train the encoder and fix the scale of its latents."""
    torch.manual_seed(args.seed)
    vae = new_autoencoder()
    pictures = pool(args.seed, args.encoder_chunks)
    progress = Progress(run, "encoder", args.encoder_steps)
    train_encoder(vae, pictures, args.encoder_steps, 8, args.seed, progress)
    normalise(vae, encode(vae, pictures[:1000]))
    progress.plot()
    run.save("encoder", vae.state_dict())


def text_stage(run: RunFolder, args: argparse.Namespace) -> None:
    """Train the text encoder."""
    torch.manual_seed(args.seed)
    text = new_text_encoder()
    progress = Progress(run, "text", args.text_steps)
    train_text_encoder(text, LEVELS[args.level], args.text_steps, 64, args.seed, progress)
    progress.plot()
    run.save("text", text.state_dict())


def latents_stage(run: RunFolder, args: argparse.Namespace) -> None:
    """Render the training pictures and keep their latents (and the pictures themselves for the decoder)."""
    vae = _autoencoder(run)
    latents: list[torch.Tensor] = []
    pictures: list[torch.Tensor] = []
    for number in range(args.chunks):
        made, _ = chunk(args.seed, number)
        pictures.append(made)
        latents.append(encode(vae, made).half())
        print(f"latents {number + 1}/{args.chunks} chunks of {CHUNK}", flush=True)
    run.save("latents", torch.cat(latents))
    run.save("pictures", torch.cat(pictures[: args.encoder_chunks]))


def _autoencoder(run: RunFolder) -> AutoencoderKL:
    vae = new_autoencoder()
    vae.load_state_dict(run.load("encoder"))
    if run.has("decoder"):
        parts = run.load("decoder")
        vae.decoder.load_state_dict(parts["decoder"])
        vae.post_quant_conv.load_state_dict(parts["post_quant_conv"])
    return vae.to(quick_format()).eval()


def _text(run: RunFolder) -> CLIPTextModel:
    text = new_text_encoder()
    text.load_state_dict(run.load("text"))
    return text.eval()


def _data(run: RunFolder, args: argparse.Namespace, most_vivid: float = math.inf) -> Latents:
    grids = run.load("latents")
    scenes = [scene for number in range(len(grids) // CHUNK) for scene in chunk_scenes(args.seed, number)]
    rows = rows_up_to(most_vivid, scenes)
    return captioned(
        grids[rows], [scenes[row] for row in rows], _text(run), LEVELS[args.level], args.captions, args.seed
    )


def rows_up_to(most_vivid: float, scenes: Sequence[Scene]) -> list[int]:
    """The rows of the scenes that are at most so vivid."""
    return [row for row, scene in enumerate(scenes) if scene.vivid <= most_vivid]


@dataclass(frozen=True)
class Phase:
    """UNet steps under one rate, the first of them on windows; `name`: of its state in the run's folder."""

    name: str
    rate: float
    steps: int
    window_steps: int = 0


def _trainer(run: RunFolder, args: argparse.Namespace, phase: Phase, workers: Workers) -> UNetTrainer:
    torch.manual_seed(args.seed)
    unet = new_unet()
    if phase.name == FINISH:
        _averaged_into(unet, run.load(UNET))
    trainer = UNetTrainer(unet.to(args.device), phase.rate, phase.steps, args.matrices, workers)
    if run.has(phase.name):
        trainer.weights.load(run.load(phase.name))
    return trainer


@torch.no_grad()
def _averaged_into(unet: UNet2DConditionModel, state: dict[str, Any]) -> None:
    """Give `unet` the running average that a phase ended with."""
    torch._foreach_copy_(list(unet.parameters()), state["averaged"])


def _sheet(run: RunFolder, trainer: UNetTrainer, name: str) -> None:
    """Samples of the averaged weights, when a decoder is there to see them with."""
    if run.has("decoder"):
        trainer.weights.settle()
        save_preview(trainer.unet, _autoencoder(run), _text(run), run.path / "sheets" / f"{name}.png")
        trainer.weights.resume()


def unet_stage(run: RunFolder, args: argparse.Namespace) -> None:
    """Train the UNet: `--window-steps` on windows, then whole pictures up to `--steps`."""
    phase = Phase(UNET, args.rate, args.steps, args.window_steps)
    together(args.workers, _train_unet, run, args, _data(run, args), phase)


def finish_stage(run: RunFolder, args: argparse.Namespace) -> None:
    """Train the UNet on for `--finish-steps`, on the pictures of a vividness up to `--finish-vivid`.

    Guidance makes colours more vivid than those that a model learnt from, so it learns from calmer ones last.
    """
    phase = Phase(FINISH, args.finish_rate, args.finish_steps)
    together(args.workers, _train_unet, run, args, _data(run, args, args.finish_vivid), phase)


def _train_unet(workers: Workers, run: RunFolder, args: argparse.Namespace, data: Latents, phase: Phase) -> None:
    torch.set_num_threads(args.threads)
    trainer = _trainer(run, args, phase, workers)
    if args.compile:
        trainer.compile()
    progress = Progress(run, phase.name, phase.steps)
    windows, everything = rows_with_window(data), range(len(data.scenes))
    while trainer.weights.done < phase.steps:
        step = trainer.weights.done
        rng = random.Random(f"{phase.name}/{args.seed}/{step}")
        make: Batches = window_batch if step < phase.window_steps else whole_batch
        rows = windows if step < phase.window_steps else everything
        loss = trainer.step(data, make(rng, data, rows, args.batch), rng)
        if workers.first:
            progress(step, {"loss": loss})
            _keep(run, trainer, args, phase, progress)


def _keep(run: RunFolder, trainer: UNetTrainer, args: argparse.Namespace, phase: Phase, progress: Progress) -> None:
    """Save what a resumed run needs every hundred steps, and a sheet of samples now and then."""
    done = trainer.weights.done
    if done % KEEP_EVERY == 0 or done == phase.steps:
        run.save(phase.name, trainer.weights.state())
        progress.plot()
    if done % args.sheet_every == 0:
        _sheet(run, trainer, f"{phase.name}_{done:06d}")


def decoder_stage(run: RunFolder, args: argparse.Namespace) -> None:
    """Train the decoder against the frozen encoder's latents."""
    vae = _autoencoder(run)
    pictures = run.load("pictures")
    latents = run.load("latents")[: len(pictures)].float()
    progress = Progress(run, "decoder", args.decoder_steps)

    def report(step: int, figures: dict[str, float]) -> None:
        progress(step, figures)
        if (step + 1) % (4 * KEEP_EVERY) == 0 or step + 1 == args.decoder_steps:
            parts = {"decoder": vae.decoder.state_dict(), "post_quant_conv": vae.post_quant_conv.state_dict()}
            run.save("decoder", parts)
            progress.plot()

    train_decoder(vae, latents, pictures, args.decoder_steps, 4, args.seed, report)


def _target(run: RunFolder, args: argparse.Namespace) -> Path:
    return args.checkpoint or run.path / "sticky-demo.safetensors"


def export_stage(run: RunFolder, args: argparse.Namespace) -> None:
    """Write the LDM single file from the newest phase of the UNet."""
    phases = {name: run.load(name) for name in (UNET, FINISH) if run.has(name)}
    unet = new_unet()
    _averaged_into(unet, list(phases.values())[-1])
    target = _target(run, args)
    steps = {f"{name}_steps": str(state["done"]) for name, state in phases.items()}
    note = {"quality_words": args.level, **steps, "seed": str(args.seed)}
    save(target, unet, _autoencoder(run), _text(run), note)
    print(f"wrote {target}")


def judges_stage(run: RunFolder, args: argparse.Namespace) -> None:
    """Train the judges on pictures that went through this autoencoder."""
    target = str(_target(run, args))
    weights = str(args.judges or run.path / "judges.safetensors")
    train_judges.main(["--model", target, "--out", weights, "--steps", str(args.judge_steps)])


def report_stage(run: RunFolder, args: argparse.Namespace) -> None:
    """Measure the model with the shipped judges: the tables and sheets of docs/MODEL.md."""
    counts = ["--count", str(args.count), "--count-others", str(args.count_others), "--threads", str(args.threads)]
    target = ["--model", str(_target(run, args)), "--out", str(run.path / "report"), "--parts", args.parts]
    evaluate.main([*target, *counts])


_RUNNERS: dict[str, Any] = {
    "encoder": encoder_stage,
    "text": text_stage,
    "latents": latents_stage,
    UNET: unet_stage,
    "decoder": decoder_stage,
    FINISH: finish_stage,
    "export": export_stage,
    "judges": judges_stage,
    "report": report_stage,
}


def main(argv: list[str] | None = None) -> int:
    """Run the stages that are not done yet."""
    args = arguments(argv)
    torch.set_num_threads(args.threads)
    run = RunFolder(args.out)
    for stage in STAGES:
        finished = stage in ("encoder", "text", "latents", "decoder") and run.has(stage)
        if args.stage == stage or (args.stage == "all" and not finished):
            _RUNNERS[stage](run, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
