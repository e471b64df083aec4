"""Metrics, seed-paired comparisons and reports, and the small model that ships for them (`demo`)."""

from __future__ import annotations
