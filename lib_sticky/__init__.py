"""Sticky negatives, untitled pictures, negative LoRA and checkpoint merging; rooms and rules are in docs/ARCHITECTURE.md."""

__version__ = "0.1.0"
