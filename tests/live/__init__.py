"""Tests against a running WebUI: set STICKY_LIVE_URL (and STICKY_LIVE_BARE_URL for one without the extension)."""
