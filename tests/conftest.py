"""Options and settings of the whole test run."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# The machines that run this are shared and slow at times; a slow example is not a wrong one.
settings.register_profile("sticky", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sticky")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-surface", action="store_true", help="write public_surface.json anew")
