"""On which part of the steps should the terms be in the negative? Measured on the model that ships.

    python -m benchmarks.terms_interval --prompts 200 --cfg 20

Prompts that training never used, one picture each, the same seeds for every interval; the shipped judges say which
pictures are clean and which show the shape and the colour asked for. Differences are from the whole run, paired, in
points, with 95 % intervals.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lib_sticky.config import Config
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.demo.arms import Prompts, paired, share
from lib_sticky.lab.demo.judges import judge
from lib_sticky.studio.job import Job
from lib_sticky.studio.making import Made, make, settled
from lib_sticky.studio.models import chosen, open_model

INTERVALS = ((0.1, 1.0), (0.2, 1.0), (0.4, 1.0), (0.0, 0.8), (0.0, 0.6), (0.1, 0.8))


@dataclass(frozen=True)
class Found:
    """Which pictures are clean, and which are right in shape and colour; bool [N] each."""

    clean: Tensor
    right: Tensor


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--cfg", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--terms", default="blurry, noisy, distorted, artifacts, low quality")
    options = parser.parse_args()
    host, prompts = open_model(chosen("")), Prompts.held_out(options.prompts)
    print(f"CFG {options.cfg:g}, {options.steps} steps, Euler a, {options.prompts} prompts, terms: {options.terms}\n")
    print("| terms in | clean, not blank % | shape and colour % | clean, difference | shape and colour, difference |")
    print("|---|---|---|---|---|")
    on = Config(enabled=True, terms=options.terms)
    job = Job(cfg=options.cfg, steps=options.steps, config=on)
    whole = _found(host, prompts, job)
    print(_row("0 to 1", whole, whole), flush=True)
    off = replace(job, config=replace(on, enabled=False))
    print(_row("never: sticky off", _found(host, prompts, off), whole), flush=True)
    for start, stop in INTERVALS:
        part = replace(job, config=replace(on, start=start, stop=stop))
        print(_row(f"{start:g} to {stop:g}", _found(host, prompts, part), whole), flush=True)
    return 0


def _found(host: Diffusers, prompts: Prompts, job: Job) -> Found:
    pictures = torch.cat([_picture(host, job, text, seed) for seed, text in enumerate(prompts.texts)])
    said = judge(pictures)
    shape, colour, _ = prompts.right(said)
    return Found((said.clean > 0.5) & ~said.blank, shape & colour)


def _picture(host: Diffusers, job: Job, prompt: str, seed: int) -> Tensor:
    """One picture, float32 [1,3,h,w], 0..1."""
    *_, made = make(host, settled(replace(job, prompt=prompt, seed=seed), host), "")
    if not isinstance(made, Made):
        raise RuntimeError("the job ended without a picture")
    return torch.from_numpy(np.array(made.pictures[0])).permute(2, 0, 1)[None].float() / 255


def _row(name: str, found: Found, whole: Found) -> str:
    shares = (share(found.clean), share(found.right))
    same = found is whole
    differences = ("", "") if same else (paired(found.clean, whole.clean), paired(found.right, whole.right))
    return f"| {name} | {' | '.join((*shares, *differences))} |"


if __name__ == "__main__":
    sys.exit(main())
