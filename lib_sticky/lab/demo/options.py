"""The command line of the training program; the defaults are those of the shipped model."""

from __future__ import annotations

import argparse
from pathlib import Path

from lib_sticky.lab.demo.captions import LEVELS, SHIPPED_LEVEL
from lib_sticky.lab.demo.evaluate import PARTS

STAGES = ("encoder", "text", "latents", "decoder", "unet", "finish", "export", "judges", "report")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Trains the demo model from nothing but this repository.")
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder of the run; an old run goes on")
    parser.add_argument("--stage", choices=(*STAGES, "all"), default="all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", choices=tuple(LEVELS), default=SHIPPED_LEVEL, help="how hard quality words push")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes that share each batch of the UNet")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the UNet trains")
    parser.add_argument("--compile", action="store_true", help="torch.compile the UNet (needs a C++ compiler)")
    parser.add_argument("--encoder-chunks", type=int, default=60, help="hundreds of pictures for the autoencoder")
    parser.add_argument("--encoder-steps", type=int, default=1100)
    parser.add_argument("--text-steps", type=int, default=1200)
    parser.add_argument("--chunks", type=int, default=300, help="hundreds of pictures for the UNet")
    parser.add_argument("--captions", type=int, default=2, help="captions written for each picture")
    parser.add_argument("--steps", type=int, default=14000, help="UNet steps in all")
    parser.add_argument("--window-steps", type=int, default=1500, help="how many of them on windows")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1.2e-3, help="of AdamW, at its highest")
    parser.add_argument("--matrices", type=float, default=2.5, help="of Muon on matrices, in rates; 0: AdamW alone")
    parser.add_argument("--finish-steps", type=int, default=600, help="further UNet steps on the less vivid pictures")
    parser.add_argument("--finish-rate", type=float, default=6e-4, help="of AdamW in those, at its highest")
    parser.add_argument(
        "--finish-vivid", type=float, default=1.0, help="how vivid a picture of those may be (0.8 to 1.4)"
    )
    parser.add_argument("--decoder-steps", type=int, default=8000)
    parser.add_argument("--sheet-every", type=int, default=1000)
    parser.add_argument("--checkpoint", type=Path, help="where to write the single file (default: inside --out)")
    parser.add_argument("--judges", type=Path, help="where to write the judges (default: inside --out)")
    parser.add_argument("--judge-steps", type=int, default=6000)
    parser.add_argument("--count", type=int, default=1000, help="prompts at CFG 5 in the report")
    parser.add_argument("--count-others", type=int, default=0, help="prompts at other scales (default: as --count)")
    parser.add_argument("--parts", default=PARTS, help="comma list of measurements in the report")
    return parser.parse_args(argv)
