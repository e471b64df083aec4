"""The two stages of the training program that train the UNet."""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

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
from lib_sticky.lab.demo.examples import CHUNK, chunk_scenes
from lib_sticky.lab.demo.layout import new_unet
from lib_sticky.lab.demo.preview import save_preview
from lib_sticky.lab.demo.run_folder import KEEP_EVERY, Progress, RunFolder
from lib_sticky.lab.demo.scene import Scene
from lib_sticky.lab.demo.trained_parts import autoencoder, text_encoder
from lib_sticky.lab.demo.workers import Workers, together

UNET, FINISH = "unet", "finish"


def _data(run: RunFolder, args: argparse.Namespace, most_vivid: float = math.inf) -> Latents:
    grids = run.load("latents")
    scenes = [scene for number in range(len(grids) // CHUNK) for scene in chunk_scenes(args.seed, number)]
    rows = rows_up_to(most_vivid, scenes)
    return captioned(
        grids[rows], [scenes[row] for row in rows], text_encoder(run), LEVELS[args.level], args.captions, args.seed
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
    trainer = UNetTrainer(new_unet().to(args.device), phase.rate, phase.steps, args.matrices, workers)
    if run.has(phase.name):
        trainer.weights.load(run.load(phase.name))
    elif phase.name == FINISH:
        trainer.weights.start_from(run.load(UNET)["averaged"])
    return trainer


def _sheet(run: RunFolder, trainer: UNetTrainer, name: str) -> None:
    """Samples of the averaged weights, when a decoder is there to see them with."""
    if run.has("decoder"):
        trainer.weights.settle()
        save_preview(trainer.unet, autoencoder(run), text_encoder(run), run.path / "sheets" / f"{name}.png")
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
