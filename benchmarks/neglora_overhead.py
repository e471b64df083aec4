"""What a negative LoRA costs: the same job without and with it, in turn, on the studio's host.

python -m benchmarks.neglora_overhead --lora out/neglora/lora/wrong.safetensors --pairs 20
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from lib_sticky.config import Config
from lib_sticky.hosts.diffusers import Diffusers
from lib_sticky.lab.intervals import bootstrap
from lib_sticky.studio.job import Job
from lib_sticky.studio.making import settled
from lib_sticky.studio.models import chosen, open_model
from lib_sticky.studio.sampling import sample


def seconds(host: Diffusers, job: Job) -> float:
    """The processor time of all steps of one job; opening the LoRA is part of it."""
    started = time.process_time()
    for _ in sample(host, job):
        pass
    return time.process_time() - started


def main() -> None:
    """Print the median ratio with its 95% interval."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--lora", required=True)
    parser.add_argument("--model", default="")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=0, help="side of the pictures (default: the model's)")
    chosen_flags = parser.parse_args()
    host = open_model(chosen(chosen_flags.model))
    size, steps, batch = chosen_flags.size, chosen_flags.steps, chosen_flags.batch
    plain = Job(prompt="a red circle", negative="wrong", seed=1, batch=batch, steps=steps, width=size, height=size)
    plain = settled(plain, host)
    only = replace(plain, config=Config(neglora=chosen_flags.lora))
    for job in (plain, only):
        seconds(host, job)  # Warm-up.
    ratios = [seconds(host, only) / seconds(host, plain) for _ in range(chosen_flags.pairs)]
    found = bootstrap(ratios, np.median)
    print(f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}], {chosen_flags.pairs} pairs")


if __name__ == "__main__":
    main()
