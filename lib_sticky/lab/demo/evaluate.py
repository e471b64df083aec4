"""Measures the demo model: a table over CFG scales with a picture sheet each, and the tests of docs/MODEL.md.

python -m lib_sticky.lab.demo.evaluate --count 300 --out eval
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from lib_sticky.lab.demo.arms import Arm, Prompts, paired, run_arm, share, summary
from lib_sticky.lab.demo.autoencoder import encode
from lib_sticky.lab.demo.frechet import frechet_distance
from lib_sticky.lab.demo.judges import judge
from lib_sticky.lab.demo.layout import CHECKPOINT
from lib_sticky.lab.demo.number_format import quick_format
from lib_sticky.lab.demo.probes import NEGATIVES, dilution, mid_self_attention_off
from lib_sticky.lab.demo.render import render
from lib_sticky.lab.demo.sampling import SAMPLER
from lib_sticky.lab.demo.scene import Scene, objects_scene
from lib_sticky.lab.demo.sheet import save_sheet
from lib_sticky.lab.demo.train_judges import through
from lib_sticky.lab.demo.words import SHAPE_NAMES
from lib_sticky.studio.checkpoint import load_sd

SCALES = (1.0, 3.0, 5.0, 7.0, 12.0, 20.0, 30.0)
STANDARD = 5.0
SEED = 40_000
PARTS = "cfg,samplers,ablation,words,shapes,dilution"
OTHER_SAMPLERS = ("Euler", "Euler a")


def markdown(rows: Mapping[str, Mapping[str, object]], first: str) -> str:
    """A table with one line a row; every row has the same columns."""
    columns = list(next(iter(rows.values())))
    lines = [f"| {first} | " + " | ".join(columns) + " |", "|" + " --- |" * (len(columns) + 1)]
    lines += [f"| {name} | " + " | ".join(str(row[c]) for c in columns) + " |" for name, row in rows.items()]
    return "\n".join(lines)


def clean_scenes(count: int, seed: int) -> list[Scene]:
    """Scenes of equal objects that neither training nor the prompts use."""
    rng = random.Random(f"clean/{seed}")
    return [objects_scene(rng) for _ in range(count)]


def real_features(pipe: StableDiffusionPipeline, count: int, seed: int) -> Tensor:
    """Judge features of clean renders that went through the autoencoder."""
    pictures = render(clean_scenes(count, seed)).mul(255).round().byte()
    return judge(through(pipe.vae, pictures)).features


def empty_arm(pipe: StableDiffusionPipeline, prompts: Prompts, scale: float, sampler: str = SAMPLER) -> Arm:
    """Pictures with nothing in the negative."""
    return run_arm(pipe, prompts.texts, [""] * len(prompts.texts), scale, SEED, sampler=sampler)


def sampler_rows(
    pipe: StableDiffusionPipeline, prompts: Prompts, plain: Arm, real: Tensor
) -> dict[str, dict[str, str]]:
    """What other samplers make of the same prompts and noise at the standard scale; `plain`: with the usual one."""
    arms = {SAMPLER: plain, **{name: empty_arm(pipe, prompts, STANDARD, name) for name in OTHER_SAMPLERS}}
    return {name: summary(arm, prompts, real) for name, arm in arms.items()}


def cfg_row(arm: Arm, prompts: Prompts, scale: float, real: Tensor, out: Path) -> dict[str, str]:
    """The figures of one CFG scale; writes its sheet."""
    save_sheet(arm.pictures[:48], 12, out / f"cfg_{scale:g}.jpg")
    row = summary(arm, prompts, real)
    print(scale, row, flush=True)
    return row


def _right(arm: Arm, prompts: Prompts) -> Tensor:
    shape, colour, _ = prompts.right(arm.said)
    return shape & colour


def _good(arm: Arm) -> Tensor:
    return (arm.said.clean > 0.5) & ~arm.said.blank


def ablation(pipe: StableDiffusionPipeline, prompts: Prompts, whole: Arm) -> dict[str, dict[str, str]]:
    """Mid-block self-attention by the identity map, against the model as it is (`whole`), same seeds."""
    with mid_self_attention_off(pipe.unet):
        off = empty_arm(pipe, prompts, STANDARD)
    right, good = _right(whole, prompts), _good(whole)
    count, count_off = prompts.right(whole.said)[2], prompts.right(off.said)[2]
    return {
        "as it is": {"shape and colour": share(right), "count": share(count), "clean": share(good)},
        "identity map": {
            "shape and colour": share(_right(off, prompts)), "count": share(count_off), "clean": share(_good(off)),
        },
        "difference": {
            "shape and colour": paired(_right(off, prompts), right),
            "count": paired(count_off, count),
            "clean": paired(_good(off), good),
        },
    }  # fmt: skip


def negative_words(pipe: StableDiffusionPipeline, prompts: Prompts, without: Arm) -> dict[str, dict[str, str]]:
    """Words for bad pictures in the negative against an empty one (`without`), same seeds."""
    good, right = _good(without), _right(without, prompts)
    rows = {"empty negative": {"clean": share(good), "shape and colour": share(right)}}
    for words in NEGATIVES:
        found = run_arm(pipe, prompts.texts, [words] * len(prompts.texts), STANDARD, SEED)
        cleaner, still = _good(found), _right(found, prompts)
        rows[f"negative `{words}`"] = {"clean": share(cleaner), "shape and colour": share(still)}
        rows[f"difference, `{words}`"] = {"clean": paired(cleaner, good), "shape and colour": paired(still, right)}
        print(words, rows[f"difference, `{words}`"], flush=True)
    return rows


def shape_removal(pipe: StableDiffusionPipeline, count: int, scale: float) -> dict[str, dict[str, str]]:
    """A prompt that names no shape; each shape once in the negative: how often is it still judged to be there."""
    texts = ["red, white background"] * count
    free = run_arm(pipe, texts, [""] * count, scale, SEED).said.shape
    rows: dict[str, dict[str, str]] = {}
    for index, name in enumerate(SHAPE_NAMES):
        without = run_arm(pipe, texts, [name] * count, scale, SEED).said.shape == index
        before = free == index
        shares = {"empty negative": share(before), "in the negative": share(without)}
        rows[name] = {**shares, "difference": paired(without, before)}
    return rows


def dilution_table(pipe: StableDiffusionPipeline, prompts: Prompts) -> dict[str, dict[str, str]]:
    """Alpha, beta and the gap ratio at six noise levels."""
    pictures = render(prompts.scenes).mul(255).round().byte()
    found = dilution(pipe, prompts.texts, encode(pipe.vae, pictures), (980, 800, 600, 400, 200, 60))
    return {str(row["step"]): {name: f"{row[name]:.3f}" for name in row if name != "step"} for row in found}


def main(argv: list[str] | None = None) -> int:
    """Run all measurements and write report.md, report.json and the sheets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--count", type=int, default=1000, help="prompts at CFG 5 and in the paired tests")
    parser.add_argument("--count-others", type=int, default=0, help="prompts at the other scales (default: as --count)")
    parser.add_argument("--out", type=Path, default=Path("eval"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parts", default=PARTS, help="comma list of measurements")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    started = time.monotonic()
    pipe = load_sd(args.model, quick_format())
    args.out.mkdir(parents=True, exist_ok=True)
    prompts, others = Prompts.held_out(args.count), Prompts.held_out(args.count_others or args.count)
    parts, report = args.parts.split(","), {}

    @cache
    def plain() -> Arm:
        return empty_arm(pipe, prompts, STANDARD)

    @cache
    def real() -> Tensor:
        return real_features(pipe, 800, 1)

    if "cfg" in parts:
        floor = frechet_distance(real_features(pipe, 200, 2), real())
        print(f"200 real pictures against 800 others: {floor:.1f}", flush=True)
        report["CFG"] = {
            f"{scale:g}": cfg_row(plain(), prompts, scale, real(), args.out)
            if scale == STANDARD
            else cfg_row(empty_arm(pipe, others, scale), others, scale, real(), args.out)
            for scale in SCALES
        }
    if "samplers" in parts:
        report["sampler"] = sampler_rows(pipe, prompts, plain(), real())
    if "ablation" in parts:
        report["mid-block self-attention"] = ablation(pipe, prompts, plain())
    if "words" in parts:
        report["negative words"] = negative_words(pipe, prompts, plain())
    if "shapes" in parts:
        report["shape in the negative"] = shape_removal(pipe, max(50, args.count // 4), STANDARD)
    if "dilution" in parts:
        report["dilution"] = dilution_table(pipe, Prompts.held_out(48, seed=3))
    text = "\n\n".join(f"## {name}\n\n{markdown(rows, name)}" for name, rows in report.items())
    (args.out / "report.md").write_text(text + "\n", encoding="utf-8")
    (args.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(text, f"\n{time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
