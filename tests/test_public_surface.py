"""What users and other programs rely on, listed in public_surface.json; a change here needs a change there.

Write the list anew with `python run.py test tests/test_public_surface.py --write-surface`, and read its diff.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI

from lib_sticky import infotext
from lib_sticky.api import compare_routes, merge_routes, neglora_routes, routes, untitled_routes
from lib_sticky.api.compare_jobs import Comparisons
from lib_sticky.api.merge_jobs import Jobs
from lib_sticky.api.neglora_orders import Shelf
from lib_sticky.api.programs import Programs
from lib_sticky.api.untitled_runs import Runs
from lib_sticky.api.wrong_jobs import WrongPictures
from lib_sticky.config import OPTIONS, schema
from lib_sticky.hosts.a1111 import A1111
from lib_sticky.hosts.checkpoints import FolderCheckpoints
from lib_sticky.hosts.host_api import HostApi
from lib_sticky.hosts.webui_painter import WebUIPainter
from lib_sticky.lab import asked
from lib_sticky.presets import BUILT_IN, Presets
from lib_sticky.prompt.packs import PACKS
from lib_sticky.studio.__main__ import COMMANDS
from lib_sticky.webui import compare_controls, merge_axes, merge_tab, neglora_tab, panel, untitled_tab
from tests.api.easel import Easel
from tests.webui.test_untitled_tab import Outbox

ROOT = Path(__file__).resolve().parent.parent
LISTED = ROOT / "public_surface.json"


def surface(tmp_path: Path) -> dict[str, Any]:
    return {
        "scripts": {path.name: titles(path) for path in sorted((ROOT / "scripts").glob("*.py"))},
        "elem_ids and labels": components(tmp_path),
        "merge tab": merge_components(tmp_path),
        "untitled tab": untitled_components(tmp_path),
        "negative LoRA tab": neglora_components(tmp_path),
        "infotext": {
            "keys": [infotext.KEY, infotext.ERROR_KEY, infotext.ACTED_KEY, infotext.FEELS_KEY, merge_axes.INFOTEXT_KEY],
            "schema": infotext.SCHEMA,
        },
        "api answer": [infotext.REPORT_KEY],
        "api fields": schema()["properties"],
        "compare fields": list(asked.FIELDS),
        "xyz axes": [
            *(f"[Sticky] {about.label}" for about in OPTIONS.values()),
            *(merge_axes.PREFIX + name for name in (merge_axes.WITH, merge_axes.ALPHA)),
        ],
        "routes": mounted(),
        "presets": list(BUILT_IN),
        "packs": list(PACKS),
        "commands": commands(),
    }


def titles(path: Path) -> list[str]:
    """What each `title` method returns: it is the API's key for the script."""
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    returns = [node.body[-1] for node in functions if node.name == "title"]
    return [ast.literal_eval(node.value) for node in returns if isinstance(node, ast.Return) and node.value]


def components(tmp_path: Path) -> dict[str, Any]:
    with gr.Blocks() as blocks:
        panel.build(_elem_id, _switch, Presets(tmp_path / "presets.json"), _compare)
    return named(blocks)


def _elem_id(item: str) -> str:
    return f"script_txt2img_sticky_{item}"


def _compare() -> tuple[Any, ...]:
    return (compare_controls.build(_elem_id, Comparisons(), tuple).ticket,)


def merge_components(tmp_path: Path) -> dict[str, Any]:
    files = FolderCheckpoints(tmp_path)
    return named(merge_tab.build(files, Jobs(files), ["cpu"]))


def untitled_components(tmp_path: Path) -> dict[str, Any]:
    return named(untitled_tab.build(Runs(Easel(), tmp_path), Outbox()))


def neglora_components(tmp_path: Path) -> dict[str, Any]:
    wrong = WrongPictures(Easel(), tmp_path)
    return named(neglora_tab.build(wrong, Programs(lambda: None), Shelf(tmp_path, None)))


def named(blocks: gr.Blocks) -> dict[str, Any]:
    found = [block for block in blocks.blocks.values() if getattr(block, "elem_id", None)]
    return {block.elem_id: getattr(block, "label", None) or _words(block) for block in found}


def _words(block: Any) -> Any:
    """What a button says; what an HTML block says is no name."""
    return block.value if isinstance(block, gr.Button) else None


@contextlib.contextmanager
def _switch(**about: Any) -> Iterator[gr.Checkbox]:
    """As the hosts' InputAccordion: a checkbox that is entered like a layout."""
    yield gr.Checkbox(**about)


def mounted() -> list[str]:
    app = FastAPI()
    before = len(app.routes)
    routes.add(app, A1111())
    files = FolderCheckpoints(Path())
    merge_routes.add(app, files, Jobs(files), {})
    untitled_routes.add(app, Runs(WebUIPainter(), Path()), {})
    compare_routes.add(app, HostApi(app), Comparisons(), {})
    wrong = WrongPictures(WebUIPainter(), Path())
    neglora_routes.add(app, wrong, Programs(lambda: None), Shelf(Path(), None), {})
    return sorted(f"{' '.join(sorted(route.methods))} {route.path}" for route in app.routes[before:])  # type: ignore[attr-defined]


def commands() -> dict[str, list[str]]:
    """Every command of `python run.py` and the flags that its help lists."""
    return {name: flags(module) for name, (module, _) in COMMANDS.items()}


def flags(module: str) -> list[str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        importlib.import_module(module).main(["--help"])
    return sorted(set(re.findall(r"--[a-z][a-z0-9-]*", said.getvalue())))


def test_the_public_surface_is_the_listed_one(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    found = json.loads(json.dumps(surface(tmp_path)))
    if request.config.getoption("--write-surface"):
        LISTED.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert found == json.loads(LISTED.read_text(encoding="utf-8"))
