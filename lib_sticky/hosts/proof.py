"""What one WebUI job shows beside its pictures: the filmstrip of the first, and what its scale amounts to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from PIL import Image

from lib_sticky.config import Config
from lib_sticky.guidance_fields import OFF
from lib_sticky.hosts import watch
from lib_sticky.hosts.base import Host
from lib_sticky.infotext import FEELS_KEY
from lib_sticky.lab.filmstrip import ToPicture, coloured, filmstrip, fit_colours
from lib_sticky.lab.probing import FAMILIAR, feeling, matched_scale
from lib_sticky.lab.watching import Watched
from lib_sticky.proof_fields import VAE

ATTRIBUTE = "sticky_proof"


@dataclass
class Proof:
    """How filmstrips are coloured (or that there is none), and the strip once it is drawn. Lives on `p`."""

    colours: str
    strip: Image.Image | None = None


def begin(p: Any, config: Config) -> None:
    """Watch the job `p` as far as `config` asks for it; safe to repeat on one `p`."""
    if hasattr(p, ATTRIBUTE):
        delattr(p, ATTRIBUTE)
        delattr(p, watch.ATTRIBUTE)
    if config.filmstrip == OFF and not config.measure_scale:
        return
    seen = Watched(strip=config.filmstrip != OFF, measures=False)
    setattr(p, watch.ATTRIBUTE, watch.JobWatch(seen, probing=config.measure_scale))
    setattr(p, ATTRIBUTE, Proof(config.filmstrip))


def after_batch(p: Any, host: Host, images: Any) -> None:
    """Draw the strip of the job's first picture and say what the scale amounts to; `images` [B, 3, H, W] in 0 to 1."""
    proof, seen = getattr(p, ATTRIBUTE, None), watch.watched_job(p)
    if proof is None or seen is None or p.iteration > 0:
        return
    if seen.failed or not seen.watched.calls:
        p.comment(f"Sticky: the steps could not be watched. {seen.failed or 'This model combines in another way.'}")
        return
    scale = host.cfg_scale(p)
    if seen.probing:
        _say_scale(p, scale, seen.watched)
    if proof.colours != OFF:
        title = f"CFG {scale:g}, seed {p.seeds[0]}"
        proof.strip = filmstrip(seen.watched.strip_frames(), _to_picture(host, proof, seen.watched, images[0]), title)


def _to_picture(host: Host, proof: Proof, seen: Watched, image: Any) -> ToPicture:
    if proof.colours == VAE:
        return host.decoded
    finished = Image.fromarray((image * 255).clamp(0, 255).byte().movedim(0, 2).cpu().numpy())
    return partial(coloured, colours=fit_colours([seen.latents()[0]], [finished]))


def _say_scale(p: Any, scale: float, seen: Watched) -> None:
    ratios = [probe.ratio for probes in seen.probes for probe in probes]
    if not any(ratios):
        p.comment("Sticky: the negative pushes nowhere here, so no CFG scale feels like another")
        return
    p.extra_generation_params = {**p.extra_generation_params, FEELS_KEY: f"{matched_scale(scale, ratios):g}"}
    p.comment(f"Sticky: {feeling(FAMILIAR, scale, ratios)[1]}")


def show(p: Any, processed: Any) -> None:
    """Put the strip behind the job's pictures, and save it where they are saved."""
    proof: Proof | None = getattr(p, ATTRIBUTE, None)
    if proof is None or proof.strip is None:
        return
    text = processed.infotexts[processed.index_of_first_image]
    proof.strip.info["parameters"] = text
    if p.save_samples():
        from modules import images

        images.save_image(
            proof.strip, p.outpath_samples, "", p.all_seeds[0], p.all_prompts[0], "png", info=text, p=p,
            suffix="-filmstrip",
        )  # fmt: skip
    processed.images.append(proof.strip)
    processed.infotexts.append(text)
