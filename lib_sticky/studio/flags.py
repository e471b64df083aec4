"""Command line flags made from the fields of a job and of the config, and back."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib_sticky import config
from lib_sticky.config import Config, ConfigError, Option
from lib_sticky.studio import job as jobs
from lib_sticky.studio.job import Job, JobError

if TYPE_CHECKING:
    from lib_sticky.hosts.diffusers import Diffusers

SWITCH = "sticky"
"""The flag of the config's `enabled` field."""


def add_job_flags(parser: argparse.ArgumentParser, without: str = "") -> None:
    """One flag for each field of Job and of Config; the group `without` keeps its defaults."""
    pictures = parser.add_argument_group("picture")
    for name, about in jobs.OPTIONS.items():
        _add(pictures, name, about, jobs.DEFAULTS[name])
    for group, options in groupby(config.OPTIONS.items(), lambda item: item[1].group):
        if group == without:
            parser.set_defaults(**{name: config.DEFAULTS[name] for name, _ in options})
            continue
        shown = parser.add_argument_group(group)
        for name, about in options:
            _add(shown, name, about, config.DEFAULTS[name])


def add_job_fields(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """A flag for each of some fields of Job."""
    for name in names:
        _add(parser, name, jobs.OPTIONS[name], jobs.DEFAULTS[name])


def job_of(found: argparse.Namespace) -> Job:
    """The job that parsed flags describe. ValueError that begins with the flag at fault."""
    values: Mapping[str, Any] = vars(found)
    try:
        chosen = Config(**{name: values[name] for name in config.DEFAULTS})
        return Job(**{name: values[name] for name in jobs.DEFAULTS}, config=chosen)
    except JobError as error:
        raise ValueError(f"{_flag(error.field)}: {error}") from error
    except ConfigError as error:
        raise ValueError(f"{_flag(error.field)}: {str(error).split(': ', 2)[-1]}") from error


def _flag(name: str) -> str:
    return "--" + (SWITCH if name == "enabled" else name).replace("_", "-")


def _add(group: Any, name: str, about: Option, default: Any) -> None:
    text = about.help.replace("%", "%%")
    if isinstance(default, bool):
        group.add_argument(_flag(name), dest=name, action="store_true", default=default, help=text)
        return
    shown = f" (default: {default or 'empty'})" if isinstance(default, str) else f" (default: {default:g})"
    kind = type(default)
    group.add_argument(
        _flag(name), dest=name, type=kind, default=default, choices=about.choices or None,
        metavar=None if about.choices else {str: "TEXT", int: "N", float: "X"}[kind], help=text + shown,
    )  # fmt: skip


def out_folder(parser: argparse.ArgumentParser, found: argparse.Namespace) -> Path:
    """The folder of --out; exits by way of `parser` where it is none."""
    out = Path(found.out).expanduser()
    if out.exists() and not out.is_dir():
        parser.error(f"--out: {out} is a file; name a folder")
    return out


def folder_and_model(parser: argparse.ArgumentParser, found: argparse.Namespace) -> tuple[Path, Path, Diffusers]:
    """The folder of --out, the path of --model and that model opened; exits by way of `parser` where one is no use.

    What opening needs is imported here, after the other flags were found good, because it takes seconds.
    """
    out = out_folder(parser, found)
    from lib_sticky.studio.models import ModelError, chosen, open_model

    try:
        path = chosen(found.model)
        return out, path, open_model(path)
    except ModelError as error:
        parser.error(f"--model: {error}")
