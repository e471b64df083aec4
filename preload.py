"""Adds no command-line flags; the host asks every extension for this function."""

from __future__ import annotations

from argparse import ArgumentParser


def preload(_parser: ArgumentParser) -> None:
    """Called by the host before it parses its arguments."""
