"""Doing what a plan says, and the checks that must pass before the output gets its name."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from lib_sticky import __version__

from .compile import Compiler
from .errors import MergeError
from .journal import Journal
from .layout import OutputTensor
from .metadata import output_metadata
from .operands import Form, Scratch
from .output_file import OutputFile, PrefixHasher, encode_header, partial_path
from .plan import Plan
from .recipe import Merge, primary
from .report import Distances, MergeReport, same_floats
from .schedule import make_parts
from .workers import Crew, Progress


@dataclass(frozen=True)
class Options:
    """How to run.

    `sha256` maps leaf digests to the files' hashes, for the metadata. `progress` gets the bytes done, the bytes in
    all and the seconds left. `cancelled` is asked ten times a second.
    """

    workers: int = min(os.cpu_count() or 1, 16)
    device: str = "cpu"
    overwrite: bool = False
    hash_output: bool = True
    sha256: Mapping[str, str] = field(default_factory=dict)
    progress: Progress | None = None
    cancelled: Callable[[], bool] = lambda: False


def devices() -> list[str]:
    """Return where methods on whole tensors can compute here, the default first."""
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def execute(plan: Plan, compiler: Compiler, options: Options) -> MergeReport:
    """Write the plan's output and return what was made.

    Nothing appears under the target's name unless every check passed. An orderly end (error, cancel) leaves nothing
    behind; a killed process leaves a partial file and a journal, and the same call goes on from there.
    """
    plan.require()
    if plan.target.exists() and not options.overwrite:
        raise MergeError(f"{plan.target} exists; choose another name or allow it to be replaced (--overwrite)")
    began, threads_before = time.monotonic(), torch.get_num_threads()
    header = _header(plan, options)
    compiler.prepare(plan.recipe, Scratch(options.device))
    parts = make_parts(plan.tensors, _planned_form(plan, compiler))
    journal = Journal(plan.target, _job(plan, header))
    resume = bool(journal.done) and partial_path(plan.target).exists()
    output: OutputFile | None = None
    try:
        output = OutputFile(plan.target, len(header) + plan.data_bytes, resume=resume)
        output.write(0, memoryview(header))
        hasher = PrefixHasher(output.partial) if options.hash_output else None
        distances = Distances(plan.sources)
        done = journal.done if resume else frozenset[int]()
        crew = Crew(
            parts, compiler, output, len(header), journal=journal, hasher=hasher, distances=distances, done=done
        )
        try:
            crew.run(options.workers, options.device, options.progress, options.cancelled)
        finally:
            sha256 = hasher.finish() if hasher else ""
        _check_inputs(plan)
        _check_effect(plan, output, len(header), distances)
        output.commit()
    except BaseException:
        if output:
            output.discard()
        journal.remove()
        raise
    finally:
        torch.set_num_threads(threads_before)
    journal.remove()
    took, size = time.monotonic() - began, output.size
    return MergeReport(str(plan.target), sha256, plan.recipe.digest, took, size, len(done), distances.relative())


def _header(plan: Plan, options: Options) -> bytes:
    first = plan.sources[primary(plan.recipe.root).digest]
    rows = {tensor.actual: (tensor.dtype, tensor.shape, tensor.start, tensor.stop) for tensor in plan.tensors}
    return encode_header(rows, output_metadata(plan.recipe, first, plan.sources, options.sha256, __version__))


def _planned_form(plan: Plan, compiler: Compiler) -> Callable[[OutputTensor], Form | None]:
    scratch = Scratch()
    return lambda tensor: compiler.output_form(tensor, scratch) if plan.streamed or tensor.verbatim else None


def _job(plan: Plan, header: bytes) -> dict[str, object]:
    """Return all that decides the bytes of the output, so that a journal of anything else is not gone on with."""
    inputs = [[str(source.reader.path), *source.reader.identity] for source in plan.sources.values()]
    return {"recipe": plan.recipe.digest, "header": hashlib.sha256(header).hexdigest(), "inputs": inputs}


def _check_inputs(plan: Plan) -> None:
    changed = [source.name for source in plan.sources.values() if not source.reader.unchanged()]
    if changed:
        raise MergeError(f"{', '.join(changed)} changed while being read; the output was thrown away, run it again")


def _check_effect(plan: Plan, output: OutputFile, base: int, distances: Distances) -> None:
    """Refuse an output whose numbers all equal the first model's although the recipe merges something."""
    root = plan.recipe.root
    first = plan.sources[primary(root).digest]
    if not isinstance(root, Merge) or _has_no_share(root) or distances.relative().get(first.name, 1.0) > 0.0:
        return
    if all(same_floats(tensor, first, output, base) for tensor in plan.tensors if not tensor.verbatim):
        raise MergeError(
            f"the result is {first.name}, number for number: the other inputs are copies of it, or their share is too "
            "small for the number format"
        )


def _has_no_share(root: Merge) -> bool:
    """Say whether the user asked for nothing, as alpha 0 does."""
    return any(root.params.get(name) == 0 for name in ("alpha", "scale"))
