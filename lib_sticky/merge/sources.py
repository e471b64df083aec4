"""The files that a recipe names: found in the user's folders, opened once, and indexed by canonical key."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from .architectures import GENERIC, Architecture, detect
from .checkpoint_io import CheckpointReader, TensorEntry
from .errors import CheckpointError, RecipeError
from .operands import FileTensor
from .recipe import Lora, Model, Recipe, primary, walk


class Source:
    """One open checkpoint, its tensors under their canonical names."""

    def __init__(self, name: str, reader: CheckpointReader, architecture: Architecture | None = None) -> None:
        self.name = name
        self.reader = reader
        self.architecture = architecture or detect(reader.header.tensors)
        self.actual = {self.architecture.canonical(key): key for key in reader.header.tensors}
        if len(self.actual) != len(reader.header.tensors):
            raise CheckpointError(f"{reader.path} holds the same tensor under two names; keep one of them")

    def keys(self) -> Iterator[str]:
        return iter(self.actual)

    def entry(self, key: str) -> TensorEntry | None:
        """Return the tensor with this canonical key, or None."""
        actual = self.actual.get(key)
        return None if actual is None else self.reader.header.tensors[actual]

    def tensor(self, key: str) -> FileTensor | None:
        entry = self.entry(key)
        return None if entry is None else FileTensor(self.reader, entry.dtype, entry.start)


class Folders:
    """Where models may be: names are looked up inside these folders and never lead out of them.

    With `loras`, LoRAs are looked up in those folders only and models only in the others, so that a LoRA and a
    checkpoint may share a name. With no folders at all, a name is a path as the user of a command line types it.
    """

    def __init__(
        self, folders: Sequence[str | os.PathLike[str]] = (), loras: Sequence[str | os.PathLike[str]] | None = None
    ) -> None:
        self._models = [Path(folder).resolve() for folder in folders]
        self._loras = self._models if loras is None else [Path(folder).resolve() for folder in loras]

    def find(self, name: str, *, lora: bool = False) -> Path | None:
        """Return the file that `name` means, or None.

        The name may leave out `.safetensors`. A name that holds folders is also looked up by its last part, as
        recipes of other people name their own folders. Raises RecipeError for a name that leads outside, and for one
        that means several files.
        """
        if not (self._models or self._loras):
            path = Path(name)
            return path if path.is_file() else None
        pure = PureWindowsPath(name) if "\\" in name else PurePosixPath(name)
        if pure.is_absolute() or PureWindowsPath(name).drive or ".." in pure.parts or "\0" in name:
            raise RecipeError(f"{name!r} is not a name inside the model folders; absolute paths and .. are refused")
        folders = self._loras if lora else self._models
        for candidate in (str(pure), f"{pure}.safetensors", pure.name, f"{pure.name}.safetensors"):
            found = [folder / candidate for folder in folders if (folder / candidate).is_file()]
            if found:
                return self._only(found, name)
        return self._only([path for folder in folders for path in _named(folder, pure.name)], name)

    def _only(self, found: Sequence[Path], name: str) -> Path | None:
        inside = [path for path in found if self._holds(path.resolve())]
        if found and not inside:
            raise RecipeError(f"{name!r} is a link that leads out of the model folders; it is refused")
        distinct = {(path.stat().st_dev, path.stat().st_ino): path for path in reversed(inside)}
        if len(distinct) > 1:
            shown = " and ".join(sorted(map(str, distinct.values())))
            raise RecipeError(f"{name!r} means {shown}; name the folder too, or rename one of them")
        return next(iter(distinct.values()), None)

    def _holds(self, real: Path) -> bool:
        return any(real.is_relative_to(folder) for folder in (*self._models, *self._loras))


def _named(folder: Path, last: str) -> Iterator[Path]:
    """Yield the files called `last`, with or without .safetensors, anywhere under a folder."""
    for parent, _, files in os.walk(folder):
        yield from (Path(parent, name) for name in files if name in (last, f"{last}.safetensors"))


def open_sources(recipe: Recipe, paths: Mapping[str, Path]) -> dict[str, Source]:
    """Open every checkpoint of a recipe; a file of a single part (a VAE) is indexed as its place in the whole model."""
    opened: dict[str, Source] = {}
    try:
        for node in recipe.nodes():
            if isinstance(node, Model):
                opened[node.digest] = Source(node.name, CheckpointReader(paths[node.digest]))
    except BaseException:
        for source in opened.values():
            source.reader.close()
        raise
    whole = opened[primary(recipe.root).digest].architecture
    main = {node.digest for node in walk((recipe.root,))}
    for digest, source in opened.items():
        if digest not in main and source.architecture is GENERIC:
            opened[digest] = Source(source.name, source.reader, whole)
    return opened


def resolve_all(nodes: Sequence[Model | Lora], folders: Folders) -> Mapping[str, Path]:
    """Return the path of every leaf by its digest; raises RecipeError that lists all the names that are missing."""
    paths = {node.digest: folders.find(node.name, lora=isinstance(node, Lora)) for node in nodes}
    missing = [node.name for node in nodes if paths[node.digest] is None]
    if missing:
        shown = "\n  ".join(missing)
        raise RecipeError(f"{len(missing)} of {len(nodes)} files are not in the model folders:\n  {shown}")
    return {digest: path for digest, path in paths.items() if path is not None}


def same_file(first: Path, second: Path) -> bool:
    """Say whether two paths name one file, through links of any kind."""
    with contextlib.suppress(OSError):
        return os.path.samefile(first, second)
    return first.absolute() == second.absolute()


def is_regular_or_absent(path: Path) -> bool:
    """Say whether `path` could be replaced by a file: absent, or a plain file that is not a link."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISREG(os.lstat(path).st_mode)
    return True
