"""What the documents show is what the code takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lib_sticky.config import OPTIONS, parse

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_api_examples_parse(document: Path) -> None:
    for block in re.findall(r"```json\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
        payload = json.loads(block)
        for script in payload.get("alwayson_scripts", {}).values():
            parse(script["args"][0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_linked_files_exist(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), f"{document.name} links to {link}"


def test_every_option_is_explained() -> None:
    lines = (ROOT / "docs" / "FIELDS.md").read_text(encoding="utf-8").splitlines()
    for name, about in OPTIONS.items():
        row = next((line for line in lines if line.startswith(f"| `{name}` | {about.label} |")), None)
        assert row is not None and row.endswith(f"| {about.help} |"), (
            f"docs/FIELDS.md: the row of {name} is not current"
        )
