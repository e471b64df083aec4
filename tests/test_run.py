"""`run.py` itself, as a newcomer meets it: before anything is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(("first", "status"), [("-h", 0), ("--help", 0), ("nonsense", 2)])
def test_the_list_of_commands_needs_no_environment(tmp_path: Path, first: str, status: int) -> None:
    shutil.copy(ROOT / "run.py", tmp_path)
    for name in ("__init__.py", "studio/__init__.py", "studio/__main__.py"):
        (tmp_path / "lib_sticky" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "lib_sticky" / name, tmp_path / "lib_sticky" / name)
    found = subprocess.run(
        [sys.executable, "-S", str(tmp_path / "run.py"), first],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = found.stderr if status else found.stdout
    assert found.returncode == status, found.stderr
    assert "generate" in said and "merge" in said and ("'nonsense'" in said) == (status != 0)
    assert not (tmp_path / ".venv").exists()
