"""The studio's page: pictures with and without Sticky, on the model that ships or any other, in the browser."""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import gradio as gr
import uvicorn
from fastapi import FastAPI

from lib_sticky import config
from lib_sticky.api import merge_routes, neglora_routes, routes, untitled_routes
from lib_sticky.api.merge_jobs import Jobs
from lib_sticky.api.neglora_orders import Shelf
from lib_sticky.api.programs import Programs
from lib_sticky.api.untitled_runs import Runs
from lib_sticky.api.wrong_jobs import WrongPictures
from lib_sticky.config import ConfigError, parse
from lib_sticky.hosts.base import Host
from lib_sticky.hosts.checkpoints import Checkpoints, FolderCheckpoints
from lib_sticky.merge import devices
from lib_sticky.presets import Presets
from lib_sticky.studio import job as jobs
from lib_sticky.studio import paste
from lib_sticky.studio.desk import Desk, Shown, failed, said
from lib_sticky.studio.gradio_versions import blocks, checkbox_accordion, gallery, looks, mount
from lib_sticky.studio.job import Job, JobError
from lib_sticky.studio.loras import LORAS
from lib_sticky.studio.models import MODELS, shipped
from lib_sticky.studio.painter import DeskPainter
from lib_sticky.webui import acted, merge_tab, neglora_tab, panel, untitled_tab

ROOT = Path(__file__).resolve().parents[2]
TAB = "txt2img"
"""The prefix of the WebUIs' element ids, so that the panel's script finds prompts and scales here as it does there."""

_ELEM_IDS = {"negative": "neg_prompt", "cfg": "cfg_scale"}
_ROWS = (("sampler", "steps", "cfg"), ("width", "height"), ("seed", "batch", "clip_skip"))
_CSS = """
.studio-status { padding: 0.4em 0; min-height: 2em; }
.studio-status progress { width: 60%; vertical-align: middle; accent-color: #f97316; }
.studio-failed { color: var(--error-text-color, #b91c1c); font-weight: 600; }
"""
_FIRST_PROMPT = "two small red circles on a blue background"


def main(argv: Sequence[str]) -> int:
    """Serve the page until interrupted; 2 when a flag cannot be used."""
    parser = argparse.ArgumentParser(prog="run.py", description="Open the studio in the browser.")
    parser.add_argument("--port", type=int, default=7861, metavar="N", help="port to listen on (default: 7861)")
    parser.add_argument(
        "--listen", default="127.0.0.1", metavar="ADDRESS",
        help="address to listen on (default: 127.0.0.1, which only this machine reaches; there is no password)",
    )  # fmt: skip
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--out", default="out", metavar="DIR", help="where pictures go (default: out)")
    parser.add_argument(
        "--models", default=str(MODELS), metavar="DIR", help="checkpoints that the merge tab reads and adds to"
    )
    parser.add_argument("--loras", metavar="DIR", help="LoRAs that the merge tab can bake in")
    found = parser.parse_args(list(argv))
    try:
        listening = _listening(found.listen, found.port)
    except (OSError, OverflowError) as error:
        parser.error(f"--port: {found.listen}:{found.port} cannot be used ({error}); name another port")
    out = Path(found.out).expanduser().resolve()
    desk = Desk(out)
    files = FolderCheckpoints(Path(found.models).expanduser().resolve(), _folder(found.loras))
    queue, runs, own = Jobs(files), Runs(DeskPainter(desk), out), out / "neglora"
    workshop = (WrongPictures(DeskPainter(desk), own), Programs(lambda: Path(sys.executable)), Shelf(own, LORAS))
    threading.Thread(target=desk.open_shipped, daemon=True).start()
    server = uvicorn.Server(uvicorn.Config(app(desk, files, queue, runs, workshop), log_level="warning"))
    address = f"http://{found.listen}:{listening.getsockname()[1]}/"
    print(f"The studio is at {address} (Ctrl+C ends it). Pictures go to {out}.", file=sys.stderr)
    if not found.no_browser:
        threading.Thread(target=_browse, args=(server, address), daemon=True).start()
    server.run(sockets=[listening])
    queue.close()
    for other in (runs, *workshop[:2]):
        other.close()
    return 0


def _listening(address: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((address, port))
    return listening


def _browse(server: uvicorn.Server, address: str) -> None:
    while not server.started:
        time.sleep(0.1)
    webbrowser.open(address)


def _folder(name: str | None) -> Path | None:
    return None if name is None else Path(name).expanduser().resolve()


def app(
    desk: Desk, files: Checkpoints, queue: Jobs, runs: Runs, workshop: tuple[WrongPictures, Programs, Shelf]
) -> FastAPI:
    """The page, the routes that its preview asks, and those of merging, untitled runs and negative LoRAs."""
    scripts = sorted((ROOT / "javascript").glob("*.js"))
    script = "\n".join(path.read_text(encoding="utf-8") for path in scripts)
    style = (ROOT / "style.css").read_text(encoding="utf-8")
    look = looks(style + _CSS, script)
    serving = FastAPI(title="Sticky studio")
    routes.add(serving, cast("Host", desk))
    merge_routes.add(serving, files, queue, {})
    untitled_routes.add(serving, runs, {})
    neglora_routes.add(serving, *workshop, {})
    with blocks("Sticky studio", look) as page:
        gr.Markdown("# Sticky studio")
        with gr.Tabs(elem_id="studio_tabs") as tabs:
            with gr.Tab(_Settings.place, id=_Settings.place):
                settings = _lay_out(desk, tabs)
            with gr.Tab(untitled_tab.TITLE):
                untitled_tab.build(runs, settings)
            with gr.Tab(neglora_tab.TITLE):
                neglora_tab.build(*workshop)
            with gr.Tab(merge_tab.TITLE):
                merge_tab.build(files, queue, devices())
    return mount(serving, page, look, [str(desk.out)])


@dataclass(frozen=True)
class _Settings:
    """The components that an infotext fills: the page's tabs, the status line, then the fields of a job."""

    outputs: Sequence[Any]
    place = "Pictures"
    hires = False

    def bind(self, button: Any, text: Any) -> None:
        def use(text: str) -> list[Any]:
            return [gr.update(selected=self.place), *_used(text)]

        button.click(use, [text], list(self.outputs), show_progress="hidden")


def _lay_out(desk: Desk, tabs: Any) -> _Settings:
    with gr.Row():
        with gr.Column(scale=3):
            fields = {name: _control(name) for name in ("prompt", "negative")}
            with gr.Row():
                generate = gr.Button("Generate", variant="primary", elem_id=f"{TAB}_generate")
                compare = gr.Button("Compare", elem_id=f"{TAB}_compare")
                cancel = gr.Button("Cancel", variant="stop", elem_id=f"{TAB}_cancel")
            for row in _ROWS:
                with gr.Row():
                    fields.update({name: _control(name) for name in row})
            model = _model_picker()
            presets = Presets(Path.home() / ".sticky" / "presets.json")
            built = panel.build(lambda item: f"{TAB}_sticky_{item}", checkbox_accordion, presets)
        with gr.Column(scale=2):
            status = gr.HTML(said("Compare makes the same seed without and with Sticky."), elem_id="studio_status")
            pictures = gallery("Pictures", "studio_gallery")
            infotext = gr.Textbox(label="Infotext", lines=5, interactive=True, elem_id="studio_infotext")
            use = gr.Button("Use this infotext", size="sm", elem_id="studio_use_infotext")
    texts = gr.State([])
    inputs = [model, *(fields[name] for name in jobs.DEFAULTS), *built.fields.values()]
    shown = [status, pictures, infotext, texts, built.acted]
    runs = [
        button.click(_run(desk, compared), inputs, shown, concurrency_limit=1, concurrency_id="model",
                     show_progress="hidden")
        for button, compared in ((generate, False), (compare, True))
    ]  # fmt: skip
    cancel.click(lambda: said("Cancelled."), None, [status], cancels=runs, show_progress="hidden")  # pyright: ignore[reportArgumentType]
    pictures.select(_chosen_text, [texts], [infotext], show_progress="hidden")
    settings = _Settings([tabs, status, *inputs[1:]])
    settings.bind(use, infotext)
    return settings


def _control(name: str) -> Any:
    about, default = jobs.OPTIONS[name], jobs.DEFAULTS[name]
    common: dict[str, Any] = {"label": about.label, "elem_id": f"{TAB}_{_ELEM_IDS.get(name, name)}"}
    if about.choices:
        return gr.Dropdown(list(about.choices), value=default, **common)
    if isinstance(default, str):
        return gr.Textbox(value=_FIRST_PROMPT if name == "prompt" else default, lines=about.lines, **common)
    if name == "seed":
        return gr.Number(value=default, precision=0, info=about.help, **common)
    info = about.help if name in ("width", "height") else None
    return gr.Slider(about.minimum, about.maximum, value=default, step=about.step, info=info, **common)


def _model_picker() -> gr.Dropdown:
    paths = [str(path) for path in shipped()]
    return gr.Dropdown(
        paths, value=paths[0] if paths else "", allow_custom_value=True, label="Model", elem_id="studio_model",
        info="The one that ships, or the path of your own: a .safetensors file or a folder in diffusers' form.",
    )  # fmt: skip


def _run(desk: Desk, compared: bool) -> Any:
    def run(model: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
        try:
            job = _job(values)
        except (JobError, ConfigError) as error:
            yield _updates(Shown(failed(str(error))))
            return
        for shown in desk.run(job, model or "", compare=compared):
            yield _updates(shown)

    return run


def _job(values: Sequence[Any]) -> Job:
    count = len(jobs.DEFAULTS)
    named = dict(zip(jobs.DEFAULTS, values[:count], strict=True))
    for name, default in jobs.DEFAULTS.items():
        if named[name] is None:
            raise JobError(name, f"{jobs.OPTIONS[name].label} is empty; enter a number")
        named[name] = type(default)(named[name])
    try:
        return Job(**named, config=parse(panel.fields_of(values[count:])))
    except JobError as error:
        raise JobError(error.field, f"{jobs.OPTIONS[error.field].label}: {error}") from error


def _updates(shown: Shown) -> tuple[Any, ...]:
    if shown.files is None:
        return shown.status, *[gr.update()] * 4
    pictures = gr.update(value=list(shown.files), selected_index=0)
    return shown.status, pictures, shown.infotexts[0], list(shown.infotexts), acted.of_passes(shown.reports)


def _chosen_text(texts: list[str], event: gr.SelectData) -> str:
    return texts[event.index] if isinstance(event.index, int) and event.index < len(texts) else ""


def _used(text: str) -> list[Any]:
    try:
        job = paste.job_of(text)
    except (JobError, ConfigError) as error:
        return [failed(str(error)), *[gr.update()] * (len(jobs.DEFAULTS) + len(config.DEFAULTS))]
    job = replace(job, batch=1)
    fields = [getattr(job, name) for name in jobs.DEFAULTS]
    return [
        said("The settings are those of the infotext."),
        *fields,
        *(getattr(job.config, n) for n in config.DEFAULTS),
    ]
