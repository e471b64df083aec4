"""Trains the demo model from nothing but this repository.

    python -m lib_sticky.lab.demo.train --out runs/demo

Stages, each resumable from `--out`: encoder, text, latents, decoder, unet, finish, export, and then judges and
report, which measure what came out. With `--stage` one alone runs, so that two can be trained beside each other.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from lib_sticky.lab.demo import evaluate, train_judges
from lib_sticky.lab.demo.autoencoder import encode, normalise, train_decoder, train_encoder
from lib_sticky.lab.demo.captions import LEVELS
from lib_sticky.lab.demo.examples import CHUNK, chunk, pool
from lib_sticky.lab.demo.layout import new_autoencoder, new_text_encoder, new_unet
from lib_sticky.lab.demo.ldm_form import save
from lib_sticky.lab.demo.options import STAGES, arguments
from lib_sticky.lab.demo.run_folder import KEEP_EVERY, Progress, RunFolder
from lib_sticky.lab.demo.text_encoder import train_text_encoder
from lib_sticky.lab.demo.train_unet import FINISH, UNET, finish_stage, unet_stage
from lib_sticky.lab.demo.trained_parts import autoencoder, text_encoder


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
    vae = autoencoder(run)
    latents: list[torch.Tensor] = []
    pictures: list[torch.Tensor] = []
    for number in range(args.chunks):
        made, _ = chunk(args.seed, number)
        pictures.append(made)
        latents.append(encode(vae, made).half())
        print(f"latents {number + 1}/{args.chunks} chunks of {CHUNK}", flush=True)
    run.save("latents", torch.cat(latents))
    run.save("pictures", torch.cat(pictures[: args.encoder_chunks]))


def decoder_stage(run: RunFolder, args: argparse.Namespace) -> None:
    """Train the decoder against the frozen encoder's latents."""
    vae = autoencoder(run)
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
    with torch.no_grad():
        torch._foreach_copy_(list(unet.parameters()), list(phases.values())[-1]["averaged"])
    target = _target(run, args)
    steps = {f"{name}_steps": str(state["done"]) for name, state in phases.items()}
    note = {"quality_words": args.level, **steps, "seed": str(args.seed)}
    save(target, unet, autoencoder(run), text_encoder(run), note)
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
