"""Installs nothing: inside a WebUI the extension uses only what the host already has."""
