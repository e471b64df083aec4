"""The extension's entry for the tab and the routes that make negative LoRAs; everything it does is in lib_sticky."""

from __future__ import annotations

from modules import script_callbacks

from lib_sticky.api import neglora_routes
from lib_sticky.api.neglora_orders import Shelf
from lib_sticky.api.programs import Programs, studio_interpreter
from lib_sticky.api.wrong_jobs import WrongPictures
from lib_sticky.hosts import detect, host_api
from lib_sticky.hosts.neglora_job import lora_folder
from lib_sticky.hosts.webui_painter import WebUIPainter
from lib_sticky.webui import neglora_tab

FOLDER = detect.webui().data_path() / "sticky" / "neglora"
WRONG = WrongPictures(WebUIPainter(), FOLDER)
PROGRAMS = Programs(studio_interpreter)
SHELF = Shelf(FOLDER, lora_folder())


def tabs() -> list:
    return [(neglora_tab.build(WRONG, PROGRAMS, SHELF), neglora_tab.TITLE, neglora_tab.TAB_ID)]


def started(_demo, app) -> None:
    if host_api.serves_api():
        neglora_routes.add(app, WRONG, PROGRAMS, SHELF, host_api.accounts())


script_callbacks.on_ui_tabs(tabs)
script_callbacks.on_app_started(started)
script_callbacks.on_script_unloaded(WRONG.close)
script_callbacks.on_script_unloaded(PROGRAMS.close)
