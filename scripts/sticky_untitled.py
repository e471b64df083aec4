"""The extension's entry for the untitled tab and its routes; everything it does is in lib_sticky."""

from __future__ import annotations

from modules import script_callbacks

from lib_sticky.api import untitled_routes
from lib_sticky.api.untitled_runs import Runs
from lib_sticky.hosts import detect, host_api
from lib_sticky.hosts.paste_button import WebUISender
from lib_sticky.hosts.webui_painter import WebUIPainter
from lib_sticky.webui import untitled_tab

RUNS = Runs(WebUIPainter(), detect.webui().data_path() / "sticky")


def tabs() -> list:
    return [(untitled_tab.build(RUNS, WebUISender()), untitled_tab.TITLE, untitled_tab.TAB_ID)]


def started(_demo, app) -> None:
    if host_api.serves_api():
        untitled_routes.add(app, RUNS, host_api.accounts())


script_callbacks.on_ui_tabs(tabs)
script_callbacks.on_app_started(started)
script_callbacks.on_script_unloaded(RUNS.close)
