"""The rooms keep to their imports: read from the syntax tree, and tried in a process that has no host."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lib_sticky"
HOST_MODULES = {"modules", "modules_forge", "backend", "ldm_patched", "ldm", "sgm", "k_diffusion"}
STDLIB = set(sys.stdlib_module_names)

# Third-party roots and rooms of our own that each room may import. Rooms not listed may import anything but a host.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "option.py": (set(), set()),
    "guidance_fields.py": (set(), {"option"}),
    "negative_fields.py": (set(), {"option"}),
    "neglora_fields.py": (set(), {"option"}),
    "proof_fields.py": (set(), {"option", "guidance_fields"}),
    "config.py": (set(), {"option", "guidance_fields", "negative_fields", "neglora_fields", "proof_fields"}),
    "infotext.py": (set(), {"config"}),
    "peer_infotext.py": (set(), {"guidance_fields"}),
    "presets.py": (set(), {"config"}),
    "votes.py": (set(), {"config"}),
    "prompt": (set(), {"config", "prompt"}),
    "guidance": ({"torch"}, {"guidance"}),
    "merge/methods": ({"torch", "numpy"}, {"merge"}),
    "merge": ({"torch", "numpy", "safetensors"}, {"merge", "lora"}),
    "lora": ({"torch", "numpy", "safetensors"}, {"lora", "merge"}),
}
PURE = (
    "lib_sticky.config",
    "lib_sticky.infotext",
    "lib_sticky.presets",
    "lib_sticky.prompt.negative",
    "lib_sticky.votes",
)


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that `path` imports, also inside functions; relative ones made absolute."""
    inside = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(inside.split(".")[: -node.level]) if node.level else ""
            yield ".".join(part for part in (base, node.module) if part)


def room(path: Path) -> str | None:
    inside = path.relative_to(PACKAGE).as_posix()
    return next((name for name in ALLOWED if inside == name or inside.startswith(name + "/")), None)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    for module in imports(path):
        root = module.split(".")[0]
        if root in HOST_MODULES:
            assert path.parent == PACKAGE / "hosts", f"{path.name} names the host module {module}; only hosts/ may"
        name = room(path)
        if name is None or root in STDLIB:
            continue
        outside, own = ALLOWED[name]
        if root == "lib_sticky":
            target = ([*module.split("."), ""])[1]
            assert target in own | {""}, f"{path.name}: the room {name} may not import {module}"
        else:
            assert root in outside, f"{path.name}: the room {name} may not import {module}"


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_gradio_is_imported_only_by_the_webui_and_studio_rooms(path: Path) -> None:
    if "gradio" in {module.split(".")[0] for module in imports(path)}:
        assert path.relative_to(PACKAGE).parts[0] in ("webui", "studio")


@pytest.mark.parametrize("module", PURE)
def test_a_stdlib_room_imports_nothing_else(module: str) -> None:
    code = (
        f"import sys; before = set(sys.modules); import {module}; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "new -= {'lib_sticky', *sys.stdlib_module_names}; "
        "sys.exit(repr(new) if new else 0)"
    )
    found = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_files_stay_small() -> None:
    limits = {"webui": 400, "studio": 400, "hosts": 250}
    for path in files():
        limit = limits.get(path.relative_to(PACKAGE).parts[0], 250)
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= limit, f"{path.relative_to(ROOT)} has {lines} lines; split it ({limit} at most)"


def test_no_file_has_a_name_that_says_nothing() -> None:
    for path in files():
        assert not {"utils", "helper", "helpers", "manager", "common", "misc"} & set(path.stem.split("_")), path
