"""The extension's entry for the merge tab and its routes; everything it does is in lib_sticky."""

from __future__ import annotations

from modules import script_callbacks, scripts

from lib_sticky.api import merge_routes, merge_unsaved
from lib_sticky.api.merge_jobs import Jobs
from lib_sticky.hosts import checkpoints, detect, host_api
from lib_sticky.hosts.job_checkpoint import WebUIJobCheckpoint
from lib_sticky.merge import devices
from lib_sticky.webui import merge_axes, merge_tab

FILES = checkpoints.webui(detect.webui())
JOBS = Jobs(FILES)


def tabs() -> list:
    return [(merge_tab.build(FILES, JOBS, devices()), merge_tab.TITLE, merge_tab.TAB_ID)]


def started(_demo, app) -> None:
    merge_unsaved.clear(FILES)
    if host_api.serves_api():
        merge_routes.add(app, FILES, JOBS, host_api.accounts())


def add_axes() -> None:
    merge_axes.add_axes(scripts.scripts_data, FILES, WebUIJobCheckpoint(FILES))


script_callbacks.on_before_ui(add_axes)
script_callbacks.on_ui_tabs(tabs)
script_callbacks.on_app_started(started)
script_callbacks.on_script_unloaded(JOBS.close)
