"""From the infotext keys of other guidance extensions to the nearest fields of ours, and what differs and why.

Keys as those extensions write them: sd-webui-incantations (scripts/pag.py, smoothed_energy_guidance.py),
sd-dynamic-thresholding, sd-webui-freeu, Forge's built-ins (sd_forge_*), reForge's RescaleCFG.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from lib_sticky.guidance_fields import FREEU_2, NULL_ENCODED, SEG_FOLDED, SEG_INFINITE

Params = Mapping[str, Any]

OWNERS: Mapping[str, tuple[str, ...]] = {
    "incantations": ("incantations",),
    "thresholding": ("dynamic thresholding", "dynamicthresholding"),
    "freeu": ("freeu",),
    "sag": ("selfattentionguidance", "self attention guidance"),
    "forge pag": ("perturbedattentionguidance", "perturbed attention"),
    "rescale": ("rescalecfg",),
}
"""Parts of the titles of the scripts that paste their own keys: where one is installed, the keys are left to it."""


@dataclass
class Translation:
    """The fields that a foreign infotext stands for, by name, and sentences on what differs."""

    fields: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def translated(params: Params, installed: Collection[str] = ()) -> Translation:
    """The nearest fields for parsed infotext parameters; `installed` are titles of the host's scripts."""
    titles = [title.lower() for title in installed]
    missing = {name for name, parts in OWNERS.items() if not any(part in title for part in parts for title in titles)}
    found = Translation()
    if "incantations" in missing:
        _incantations(params, found)
    if "forge pag" in missing:
        _forge_pag(params, found)
    if "thresholding" in missing:
        _thresholding(params, found)
    if "freeu" in missing:
        _freeu(params, found)
    if "sag" in missing:
        _sag(params, found)
    if "rescale" in missing:
        _rescale(params, found)
    if found.fields:
        _untitled(params, found)
        _cfg_pp(params, found)
    return found


def _on(params: Params, key: str) -> bool:
    return str(params.get(key, "")).strip().lower() == "true"


def _number(params: Params, key: str, default: float) -> float:
    try:
        value = float(params.get(key, default))
    except (TypeError, ValueError):
        return default
    return value if value == value and abs(value) < 1e6 else default


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _incantations(params: Params, found: Translation) -> None:
    if _on(params, "PAG Active"):
        found.fields["pag"] = _within(_number(params, "PAG Scale", 0.0), 0.0, 10.0)
        _steps(params, found, "PAG")
        if _on(params, "PAG SANF"):
            found.notes.append("SANF chose between CFG and PAG place by place; here both are added.")
    if _on(params, "SEG Active"):
        exponent = _number(params, "SEG Blur Sigma", 11.0)
        sigma = SEG_INFINITE if exponent > 10.5 else _within(2.0 ** max(exponent, -9), 0.1, SEG_INFINITE - 0.1)
        found.fields.update(seg=SEG_FOLDED, seg_sigma=sigma)
        _steps(params, found, "SEG")
        found.notes.append("That extension blurs the negative's own pass, so the CFG scale is the strength of SEG.")
    found.notes += [
        f"{name} is not built here and was left out."
        for name, key in (("S-CFG", "SCFG Active"), ("The CFG schedule", "CFG Interval Enable"))
        if _on(params, key)
    ]


def _steps(params: Params, found: Translation, name: str) -> None:
    total = _number(params, "Steps", 0.0)
    if total < 1:
        return
    start = _within(_number(params, f"{name} Start Step", 0.0) / total, 0.0, 1.0)
    stop = _within(_number(params, f"{name} End Step", total) / total, start, 1.0)
    _interval(found, start, stop)


def _interval(found: Translation, start: float, stop: float) -> None:
    kept = found.fields.get("guidance_start", 0.0), found.fields.get("guidance_stop", 1.0)
    if "guidance_start" in found.fields and kept != (start, stop):
        found.notes.append("The techniques had steps of their own; here they share those of the first.")
        return
    found.fields.update(guidance_start=start, guidance_stop=stop)


def _forge_pag(params: Params, found: Translation) -> None:
    if _on(params, "pagi_enabled"):
        found.fields["pag"] = _within(_number(params, "pagi_scale", 0.0), 0.0, 10.0)
        start = _within(_number(params, "pagi_start_step", 0.0), 0.0, 1.0)
        _interval(found, start, _within(_number(params, "pagi_end_step", 1.0), start, 1.0))
        if _number(params, "pagi_attenuation", 0.0):
            found.notes.append("Forge weakened PAG step by step; here its scale is constant.")


def _thresholding(params: Params, found: Translation) -> None:
    a1111, forge = _on(params, "Dynamic thresholding enabled"), _on(params, "dynthres_enabled")
    if not (a1111 or forge):
        return

    def key(theirs: str, built_in: str) -> str:
        return theirs if a1111 else f"dynthres_{built_in}"

    percentile = _number(params, key("Threshold percentile", "threshold_percentile"), 100.0 if a1111 else 1.0)
    bypassed = a1111 and _on(params, "PAG Active")
    separate = str(params.get(key("Separate Feature Channels", "separate_feature_channels"), "True")).lower()
    found.fields.update(
        dynthres=not bypassed,
        dynthres_mimic=_within(_number(params, key("Mimic scale", "mimic_scale"), 7.0), 0.0, 30.0),
        dynthres_phi=_within(_number(params, key("Interpolate Phi", "interpolate_phi"), 1.0), 0.0, 1.0),
        dynthres_percentile=_within(percentile / 100 if a1111 else percentile, 0.0, 1.0),
        dynthres_together=separate not in ("true", "enable"),
    )
    for name, theirs, built_in, choices in (
        ("dynthres_spread", "Variability Measure", "variability_measure", ("AD", "STD")),
        ("dynthres_centre", "Scaling Startpoint", "scaling_startpoint", ("MEAN", "ZERO")),
    ):
        value = params.get(key(theirs, built_in))
        if value in choices:
            found.fields[name] = value
    if bypassed:
        found.notes.append(
            "With PAG on, incantations replaced the combiner and Dynamic Thresholding did not act in that picture: it "
            "is off here, its settings are kept."
        )
    modes = (key("Mimic mode", "mimic_mode"), key("CFG mode", "cfg_mode"))
    if any(params.get(mode, "Constant") != "Constant" for mode in modes):
        found.notes.append("Its scales followed a schedule; here they are constant.")


def _freeu(params: Params, found: Translation) -> None:
    if _on(params, "freeu_enabled"):
        values = {name: _number(params, f"freeu_{name}", 1.0) for name in ("b1", "b2", "s1", "s2")}
        start = _within(_number(params, "freeu_start", 0.0), 0.0, 1.0)
        _interval(found, start, _within(_number(params, "freeu_end", 1.0), start, 1.0))
    elif "FreeU Stages" in params:
        stages = _stages(params)
        values = {
            f"{letter}{i + 1}": _stage(stages, i, key)
            for i in range(2)
            for letter, key in (("b", "backbone_factor"), ("s", "skip_factor"))
        }
        times = [_number({"": part}, "", -1.0) for part in str(params.get("FreeU Schedule", "0, 1")).split(",")]
        if len(times) >= 2 and 0 <= times[0] <= times[1] <= 1:
            _interval(found, times[0], times[1])
        if len(stages) > 2:
            found.notes.append("FreeU's third stage was left out.")
    else:
        return
    found.fields["freeu"] = FREEU_2
    found.fields.update({f"freeu_{name}": _within(value, 0.0, 3.0) for name, value in values.items()})
    found.notes.append("The infotext names no version of FreeU; version 2 was chosen.")


def _stages(params: Params) -> list[Any]:
    try:
        found: Any = json.loads(str(params["FreeU Stages"]))
    except (ValueError, RecursionError):
        return []
    return cast("list[Any]", found) if isinstance(found, list) else []


def _stage(stages: list[Any], index: int, key: str) -> float:
    stage: Any = stages[index] if index < len(stages) else {}
    return _number(cast("Params", stage), key, 1.0) if isinstance(stage, dict) else 1.0


def _sag(params: Params, found: Translation) -> None:
    if _on(params, "sag_enabled"):
        found.fields.update(
            sag=_within(_number(params, "sag_scale", 0.5), 0.0, 5.0),
            sag_sigma=_within(_number(params, "sag_blur_sigma", 2.0), 0.0, 10.0),
            sag_threshold=_within(_number(params, "sag_threshold", 1.0), 0.0, 5.0),
        )


def _rescale(params: Params, found: Translation) -> None:
    if _on(params, "rescale_cfg_enabled"):
        found.fields["rescale"] = _within(_number(params, "rescale_cfg_multiplier", 0.0), 0.0, 1.0)


def _untitled(params: Params, found: Translation) -> None:
    """No prompt on either side; a lone comma is text, which SDXL does not replace by zeros."""
    texts = [str(params.get(key, "")) for key in ("Prompt", "Negative prompt")]
    if any(text.strip(" ,\n") for text in texts):
        return
    found.fields["untitled"] = True
    if texts[1].strip():
        found.fields["null"] = NULL_ENCODED


def _cfg_pp(params: Params, found: Translation) -> None:
    if params.get("Sampler") != "DDIM CFG++":
        return
    forge = str(params.get("Version", "")).startswith("f")
    scale = _number(params, "CFG scale", 1.0)
    found.fields["cfgpp"] = _within(scale if forge else scale / 12.5, 0.0, 3.0)
    found.notes.append(
        "Forge's DDIM CFG++ uses the CFG scale as lambda." if forge else "A1111's DDIM CFG++ divides CFG by 12.5."
    )
