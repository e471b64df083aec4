"""CFG++: guide the denoised image, add back the noise of the unguided prediction.

Sigmas are those of the variance-exploding form, x = x0 + sigma * noise; `space.py` converts from the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .ranges import require


@dataclass(frozen=True)
class CfgPlusPlus:
    """strength: the paper's lambda. 1 denoises with the positive alone; below 1 lies between negative and positive."""

    strength: float

    def __post_init__(self) -> None:
        require("CFG++ strength", self.strength, 0.0, above=True)


def strength_from_host(scale: float, multiplier: float) -> float:
    """The lambda that a host's CFG scale means in its own CFG++ sampler.

    multiplier: 1 / 12.5 in A1111 (sd_samplers_timesteps_impl.py, ddim_cfgpp); 1 in Forge, whose denoiser never reads
    the `cond_scale_miltiplier` that its sampler sets.
    """
    return scale * multiplier


def host_scale(strength: float, multiplier: float) -> float:
    """The CFG scale to ask of a host so that its CFG++ sampler uses `strength`."""
    return strength / multiplier


def next_latent(x: Tensor, guided: Tensor, renoise: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """x' = D + sigma' (x - D_u) / sigma.

    guided: D = D_u + lambda (D_c - D_u), with whatever else was added to it. renoise: D_u, the same negative that
    `guided` was made with: the push away from it comes only from this difference. Renoising with D_c and lambda < 1
    turns the push around, towards the negative.
    Source: Chung et al., arXiv 2406.08070, algorithm 1, in this form of sigma.
    """
    return guided + (x - renoise) * (sigma_next / sigma)


def for_euler(guided: Tensor, renoise: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """The denoised prediction with which a plain Euler or DDIM step makes the CFG++ step.

    (D - r D_u) / (1 - r) with r = sigma' / sigma: solves D' + r (x - D') = D + r (x - D_u).
    """
    kept = sigma_next / sigma
    return guided + (guided - renoise) * (kept / (1 - kept))


def equivalent_scale(strength: float, sigma: float, sigma_next: float) -> float:
    """The CFG scale of a plain Euler or DDIM step that equals CFG++ at `strength`: lambda sigma / (sigma - sigma')."""
    return strength * sigma / (sigma - sigma_next)
