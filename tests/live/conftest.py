"""Skips every test here unless a running WebUI is named."""

from __future__ import annotations

import pytest

from tests.live.webui import BARE_URL, URL


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/live/" not in item.nodeid:
            continue
        if not URL:
            item.add_marker(pytest.mark.skip(reason="needs a running WebUI: set STICKY_LIVE_URL"))
        elif item.get_closest_marker("bare") and not BARE_URL:
            item.add_marker(pytest.mark.skip(reason="needs a WebUI without the extension: set STICKY_LIVE_BARE_URL"))
