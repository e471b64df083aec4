"""The checkpoint of one job: which it is, and another in its place until the job is over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

from lib_sticky.config import ConfigError
from lib_sticky.hosts.checkpoints import CHECKPOINT, LoadFailed, WebUICheckpoints


class JobCheckpoint(Protocol):
    """What a job uses. `p` is the host's processing object."""

    def chosen(self, p: Any) -> str:
        """The job's checkpoint as a name inside the checkpoint folders; raises LoadFailed."""
        ...

    def use(self, p: Any, path: Path) -> None:
        """Let the job, and no other one, run with a file inside the checkpoint folder; raises LoadFailed."""
        ...

    def interrupted(self) -> bool:
        """Whether the user asked the host to stop."""
        ...


class WebUIJobCheckpoint:
    """The `override_settings` of A1111 and every WebUI that grew from it, which the host itself undoes."""

    def __init__(self, checkpoints: WebUICheckpoints) -> None:
        self._checkpoints = checkpoints

    def chosen(self, p: Any) -> str:
        try:
            info = job_checkpoint(p)
        except ConfigError as error:
            raise LoadFailed(str(error)) from None
        path = Path(os.path.realpath(os.path.dirname(info.filename)), os.path.basename(info.filename))
        for folder in self._checkpoints.checkpoint_folders():
            if path.is_relative_to(folder):
                return path.relative_to(folder).as_posix()
        raise LoadFailed(f"{path} is not inside the checkpoint folders")

    def use(self, p: Any, path: Path) -> None:
        # A new dict: the cells of a grid are shallow copies of one p and would otherwise share it.
        p.override_settings = {**p.override_settings, CHECKPOINT: self._checkpoints.listed(path).name}

    def interrupted(self) -> bool:
        from modules import shared

        return bool(shared.state.interrupted)


def job_checkpoint(p: Any) -> Any:
    """What the host knows of the checkpoint that the job `p` uses. ConfigError where it has none."""
    from modules import shared

    return checkpoint(CHECKPOINT, p.override_settings.get(CHECKPOINT) or shared.opts.data.get(CHECKPOINT))


def checkpoint(field: str, title: Any) -> Any:
    """What the host knows of a checkpoint by its name or title. ConfigError that names `field` where it has none."""
    from modules import sd_models

    info = sd_models.get_closet_checkpoint_match(title)
    if info is None:
        raise ConfigError(field, f"the WebUI has no checkpoint {title!r}; choose one of its list")
    return info
