"""Packs of undesirable terms to start from. Folklore until measured: docs/CLAIMS.md says what was."""

from __future__ import annotations

from collections.abc import Mapping

WRONG = "wrong"
PACKS: Mapping[str, str] = {
    "general": "awful, bad, blurry, distorted, artifacting",
    "hands": "bad hands, extra fingers, missing fingers, fused fingers, malformed limbs",
    "face": "asymmetric eyes, deformed face, crossed eyes, bad teeth",
    "photo": "painting, drawing, render, cartoon, plastic skin, overprocessed",
    "anime": "bad anatomy, worst quality, low quality, sketch, unfinished, inconsistent lines",
    "text": "text, watermark, signature, logo, username",
    "oversaturation": "oversaturated, overexposed, harsh contrast, blown highlights",
    "dull": "washed out, low contrast, hazy, dull colors, grainy",
    "framing": "cropped, out of frame, cut off, duplicate, tiled",
    WRONG: "low quality, bad hands, random text, error, missing or extra fingers, cropped, jpeg artifacts, signature, "
    "watermark, blurry, ugly, duplicate, mutilated",
}
"""The last are the 13 words of M. Woolf's "wrong" LoRA for SDXL (2023)."""


def merged(terms: str, pack: str) -> str:
    """`terms` with those of the pack named `pack` that they lack, in order; KeyError for an unknown pack."""
    have = {term.strip().lower() for term in terms.split(",")}
    new = [term for term in PACKS[pack].split(", ") if term.lower() not in have]
    return ", ".join(part for part in (terms.strip().rstrip(","), *new) if part)
