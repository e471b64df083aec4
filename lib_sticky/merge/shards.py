"""Spreading one merge over machines: each makes some of the tensors, and `join` puts the files together."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from .checkpoint_io import CheckpointReader
from .errors import MergeError
from .layout import OutputTensor, placed
from .output_file import OutputFile, encode_header
from .plan import Plan

COPY_BYTES = 1 << 22


def shard_of(plan: Plan, index: int, count: int) -> Plan:
    """Return the plan of shard `index` (from 1) of `count`: neighbouring tensors, about the same bytes in each."""
    if not 1 <= index <= count:
        raise MergeError(f"shard {index}/{count} does not exist; they are numbered from 1 to {count}")
    chosen = [tensor for tensor in plan.tensors if _shard(tensor, plan.data_bytes, count) == index]
    return dataclasses.replace(plan, tensors=tuple(placed(chosen)), target=shard_path(plan.target, index, count))


def _shard(tensor: OutputTensor, total: int, count: int) -> int:
    return min(count, 1 + (tensor.start + tensor.stop) * count // (2 * total or 1))


def shard_path(target: Path, index: int, count: int) -> Path:
    return target.with_name(f"{target.stem}.shard-{index:04}-of-{count:04}{target.suffix}")


def join(target: Path, count: int, *, overwrite: bool = False) -> None:
    """Write `target` from its `count` shards beside it; the shards must come from one recipe and stay."""
    if target.exists() and not overwrite:
        raise MergeError(f"{target} exists; choose another name or allow it to be replaced (--overwrite)")
    readers = [CheckpointReader(shard_path(target, index, count)) for index in range(1, count + 1)]
    try:
        _join(target, readers)
    finally:
        for reader in readers:
            reader.close()


def _join(target: Path, readers: Sequence[CheckpointReader]) -> None:
    metadata = dict(readers[0].header.metadata)
    recipes = {_recipe_hash(reader) for reader in readers}
    if len(recipes) != 1:
        raise MergeError(f"the shards of {target} were made by different recipes; make them again")
    rows: dict[str, tuple[str, tuple[int, ...], int, int]] = {}
    at = 0
    for reader in readers:
        for key, entry in sorted(reader.header.tensors.items(), key=lambda item: item[1].start):
            if key in rows:
                raise MergeError(f"{reader.path} holds {key}, which another shard holds too")
            rows[key] = (entry.dtype, entry.shape, at, at + entry.stop - entry.start)
            at = rows[key][3]
    header = encode_header(rows, metadata)
    output = OutputFile(target, len(header) + at)
    try:
        output.write(0, memoryview(header))
        offset = len(header)
        for reader in readers:
            offset = _append(output, offset, reader)
        output.commit()
    except BaseException:
        output.discard()
        raise


def _append(output: OutputFile, offset: int, reader: CheckpointReader) -> int:
    block = memoryview(bytearray(COPY_BYTES))
    for at in range(reader.header.data_start, reader.size, COPY_BYTES):
        count = min(COPY_BYTES, reader.size - at)
        reader.read_into(at, block[:count])
        output.write(offset, block[:count])
        offset += count
    return offset


def _recipe_hash(reader: CheckpointReader) -> str:
    try:
        return str(json.loads(reader.header.metadata["sd_merge_recipe"])["hash"])
    except (KeyError, TypeError, ValueError) as error:
        raise MergeError(f"{reader.path} is not a shard of this tool's merges") from error
