"""Sticky negatives, untitled pictures, negative LoRA and checkpoint merging; docs/ARCHITECTURE.md maps the rooms."""

__version__ = "0.1.0"
