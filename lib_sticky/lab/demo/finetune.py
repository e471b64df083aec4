"""A fine-tune of the demo model on half of the colours, to have something to merge.

python -m lib_sticky.lab.demo.finetune --half warm --out models/warm.safetensors
python -m lib_sticky.lab.demo.finetune --half cold --out models/cold.safetensors
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

from lib_sticky.lab.demo.autoencoder import encode
from lib_sticky.lab.demo.captions import LEVELS, SHIPPED_LEVEL
from lib_sticky.lab.demo.diffusion import Latents, UNetTrainer, captioned, whole_batch
from lib_sticky.lab.demo.examples import chunk
from lib_sticky.lab.demo.layout import CHECKPOINT
from lib_sticky.lab.demo.ldm_form import save
from lib_sticky.lab.demo.number_format import quick_format
from lib_sticky.lab.demo.run_folder import Progress, RunFolder
from lib_sticky.studio.checkpoint import load_sd

HALVES = {"warm": ("red", "orange", "yellow", "black"), "cold": ("green", "blue", "purple", "white")}


def half_of_the_data(pipe: object, half: str, chunks: int, seed: int) -> Latents:
    """Latents and captions of the pictures whose main colour is in the half."""
    grids: list[torch.Tensor] = []
    scenes = []
    for number in range(chunks):
        pictures, seen = chunk(seed, number)
        rows = [row for row, scene in enumerate(seen) if scene.colour in HALVES[half]]
        grids.append(encode(pipe.vae, pictures[rows]).half())  # pyright: ignore[reportAttributeAccessIssue]
        scenes += [seen[row] for row in rows]
    text = pipe.text_encoder  # pyright: ignore[reportAttributeAccessIssue]
    return captioned(torch.cat(grids), scenes, text, LEVELS[SHIPPED_LEVEL], 2, seed)


def main(argv: list[str] | None = None) -> int:
    """Fine-tune and write a full single file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--half", choices=tuple(HALVES), required=True, help="which colours to go on with")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--chunks", type=int, default=20, help="hundreds of pictures to draw from, before halving")
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    pipe = load_sd(args.model, quick_format())
    data = half_of_the_data(pipe, args.half, args.chunks, args.seed)
    trainer = UNetTrainer(pipe.unet, args.rate, args.steps)
    progress = Progress(RunFolder(args.out.parent / f"{args.out.stem}_run"), "finetune", args.steps)
    for step in range(args.steps):
        rng = random.Random(f"finetune/{args.half}/{args.seed}/{step}")
        batch = whole_batch(rng, data, range(len(data.scenes)), args.batch)
        progress(step, {"loss": trainer.step(data, batch, rng)})
    progress.plot()
    trainer.weights.settle()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save(args.out, trainer.unet, pipe.vae, pipe.text_encoder, {"fine_tuned_on": args.half, "steps": str(args.steps)})
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
