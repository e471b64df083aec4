"""The extension's entry for untitled runs and their routes; everything it does is in lib_sticky."""

from __future__ import annotations

from modules import script_callbacks

from lib_sticky.api import untitled_routes
from lib_sticky.api.untitled_runs import Runs
from lib_sticky.hosts import checkpoints, detect
from lib_sticky.hosts.webui_painter import WebUIPainter

RUNS = Runs(WebUIPainter(), detect.webui().data_path() / "sticky")


def started(_demo, app) -> None:
    if checkpoints.serves_api():
        untitled_routes.add(app, RUNS, checkpoints.accounts())


script_callbacks.on_app_started(started)
script_callbacks.on_script_unloaded(RUNS.close)
