"""Long jobs in A1111 and every WebUI that grew from it: each batch is a job like any other in its queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lib_sticky.config import Config, ConfigError, changed
from lib_sticky.hosts.painter import Batch, Model, Painted, Settings
from lib_sticky.infotext import ACTED_KEY, ERROR_KEY, KEY
from lib_sticky.lab.worth import MEASURED

TITLE = "Sticky"
"""The title of the script that the fields are handed to."""


class WebUIPainter:
    """Between two batches other jobs of the host get their turn."""

    def __init__(self) -> None:
        self._painting = False

    def samplers(self) -> list[str]:
        from modules import sd_samplers

        return [sampler.name for sampler in sd_samplers.visible_samplers()]

    def model(self) -> Model:
        from modules import sd_models

        try:
            info = sd_models.select_checkpoint()
        except FileNotFoundError as error:
            raise ConfigError("model", "the WebUI has no checkpoint") from error
        if not info.sha256:
            info.calculate_shorthash()
        return Model(info.name_for_extra, Path(info.filename), str(info.sha256))

    def check(self, settings: Settings, config: Config) -> None:
        """What cannot act here is said in the infotext and the comments."""

    def paint(self, batch: Batch, stopped: Callable[[], bool]) -> Painted | None:
        from modules import call_queue, processing, shared

        with call_queue.queue_lock:
            if stopped():
                return None
            with closing(_job(batch)) as p:
                shared.state.begin(job="sticky")
                self._painting = True
                try:
                    processed = processing.process_images(p)
                    if shared.state.interrupted or shared.state.stopping_generation or stopped():
                        return None
                finally:
                    self._painting = False
                    shared.state.end()
                return _painted(p, processed, batch.config, len(batch.seeds))

    def interrupt(self) -> None:
        from modules import shared

        if self._painting:
            shared.state.interrupt()


def _job(batch: Batch) -> Any:
    """A txt2img job as the host's own API makes it (modules/api/api.py, `text2imgapi`)."""
    from modules import processing, scripts, shared

    settings, prompts = batch.settings, batch.prompts
    side = 1024 if getattr(shared.sd_model, "is_sdxl", False) else 512
    p = processing.StableDiffusionProcessingTxt2Img(
        sd_model=shared.sd_model,
        outpath_samples=shared.opts.outdir_txt2img_samples,
        outpath_grids=shared.opts.outdir_txt2img_grids,
        prompt=prompts.positive,
        negative_prompt=prompts.negative,
        seed=batch.seeds.start,
        sampler_name=settings.sampler,
        batch_size=len(batch.seeds),
        n_iter=1,
        steps=settings.steps,
        cfg_scale=settings.cfg,
        width=settings.width or side,
        height=settings.height or side,
        do_not_save_samples=True,
        do_not_save_grid=True,
    )
    p.is_api = True
    p.scripts = scripts.scripts_txt2img
    p.script_args = _arguments(scripts.scripts_txt2img, batch.config)
    return p


def _arguments(runner: Any, config: Config) -> tuple[Any, ...]:
    """What the page holds when it is opened, for all scripts but ours, which takes a dict of fields."""
    own = [script for script in runner.alwayson_scripts if script.title() == TITLE]
    if not own or len(runner.inputs) <= own[0].args_from:
        raise ConfigError("sticky", "the WebUI has not loaded the Sticky script; its log says why")
    values = [getattr(component, "value", None) for component in runner.inputs]
    values[0] = 0
    values[own[0].args_from] = changed(config)
    return tuple(values)


def _painted(p: Any, processed: Any, config: Config, count: int) -> Painted:
    first = processed.index_of_first_image
    pictures: Sequence[Any] = processed.images[first : first + count]
    about = p.extra_generation_params
    if len(pictures) != count or (changed(config) and KEY not in about):
        raise RuntimeError("the WebUI made something else than was asked for; its log says why")
    if ERROR_KEY in about:
        raise RuntimeError(str(about[ERROR_KEY]))
    return Painted(
        [picture.convert("RGB") for picture in pictures],
        list(processed.infotexts[first : first + count]),
        str(about.get(ACTED_KEY, "nothing but the empty prompt")),
        str(processed.sd_model_name),
        str(processed.sd_model_hash or ""),
        [{}] * count,
        MEASURED,
    )
