"""Model layouts as data: one JSON file each beside this one.

The key tables are those of sd-mecha's model configs (MIT, LICENSE-sd-mecha.txt), written as ranges of numbers.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from lib_sticky.merge.checkpoint_io import TensorEntry

NAMES = ("sd1", "sd2", "sdxl", "sd3", "flux")
_RANGE = re.compile(r"\{([\d,-]+)\}")


@dataclass(frozen=True)
class Architecture:
    """The parts of a model: components, blocks, other spellings of its keys, and keys that are never computed with."""

    name: str
    label: str
    signature: Mapping[str, tuple[int, ...] | None]
    components: Mapping[str, tuple[str, ...]]
    blocks: tuple[str, ...]
    block_rules: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]
    aliases: tuple[tuple[re.Pattern[str], str], ...]
    markers: tuple[str, ...]
    verbatim: tuple[re.Pattern[str], ...]
    keys: Mapping[str, tuple[int, ...]]

    def canonical(self, key: str) -> str:
        """Return this architecture's own spelling of `key`."""
        for pattern, replacement in self.aliases:
            key, count = pattern.subn(replacement, key)
            if count:
                break
        return key

    def component(self, key: str) -> str:
        """Name the component that holds a canonical key: unet, a text encoder, vae, or other."""
        for name, prefixes in self.components.items():
            if key.startswith(prefixes):
                return name
        return "other"

    def blocks_of(self, key: str) -> tuple[str, ...]:
        """Name the blocks of a canonical key, the narrowest first; the last is BASE for all outside the UNet."""
        for pattern, names in self.block_rules:
            if found := pattern.match(key):
                numbers = [int(group) for group in found.groups()]
                return tuple(name.format(*numbers) for name in names)
        return ("BASE",)

    def is_verbatim(self, key: str) -> bool:
        """Say whether a canonical key is carried from the first model as it is (markers, schedules, ids, EMA)."""
        return key in self.markers or any(pattern.search(key) for pattern in self.verbatim)


def _expand(pattern: str) -> Iterator[str]:
    """Write out `{0-2,5}` ranges: `a.{0-1}.b` gives a.0.b and a.1.b."""
    parts = _RANGE.split(pattern)
    choices: list[list[str]] = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            choices.append([part])
            continue
        spans = [span.partition("-") for span in part.split(",")]
        choices.append([str(number) for low, _, high in spans for number in range(int(low), int(high or low) + 1)])
    return ("".join(choice) for choice in itertools.product(*choices))


@cache
def load(name: str) -> Architecture:
    """Return the architecture in `<name>.json`."""
    raw = json.loads(Path(__file__).with_name(f"{name}.json").read_text(encoding="utf-8"))
    keys = {key: tuple(shape) for pattern, shape in raw["keys"].items() for key in _expand(pattern)}
    signature = {key: None if shape is None else tuple(shape) for key, shape in raw["signature"].items()}
    return Architecture(
        name=raw["name"],
        label=raw["label"],
        signature=MappingProxyType(signature),
        components=MappingProxyType({part: tuple(prefixes) for part, prefixes in raw["components"].items()}),
        blocks=tuple(raw["blocks"]),
        block_rules=tuple((re.compile(pattern), tuple(names)) for pattern, names in raw["block_rules"]),
        aliases=tuple((re.compile(pattern), replacement) for pattern, replacement in raw["aliases"]),
        markers=tuple(raw["markers"]),
        verbatim=tuple(re.compile(pattern) for pattern in raw["verbatim"]),
        keys=MappingProxyType(keys),
    )


GENERIC = Architecture(
    name="generic",
    label="any model",
    signature=MappingProxyType({}),
    components=MappingProxyType({}),
    blocks=("BASE",),
    block_rules=(),
    aliases=(),
    markers=("v_pred", "ztsnr"),
    verbatim=(re.compile(r"\.position_ids$"),),
    keys=MappingProxyType({}),
)


def detect(tensors: Mapping[str, TensorEntry]) -> Architecture:
    """Return the architecture whose signature the keys and shapes match, or GENERIC."""
    for architecture in map(load, NAMES):
        shapes = {architecture.canonical(key): entry.shape for key, entry in tensors.items()}
        if all(key in shapes and shape in (None, shapes[key]) for key, shape in architecture.signature.items()):
            return architecture
    return GENERIC


INPUT_CONVOLUTION = "model.diffusion_model.input_blocks.0.0.weight"
"""Its second side is what the UNet reads: 4 channels of latents, and 4 or 5 more where it also reads a picture."""


def reads_more(key: str, wide: Sequence[int], narrow: Sequence[int]) -> bool:
    """Say whether `wide` is the input of an inpainting (9 channels) or instruct-pix2pix (8) UNet, `narrow` a plain one.

    The plain model's channels come first in the wide one; the others have no partner.
    """
    if key != INPUT_CONVOLUTION or len(wide) != 4 or len(narrow) != 4:
        return False
    return wide[1] in (8, 9) and narrow[1] == 4 and [wide[0], *wide[2:]] == [narrow[0], *narrow[2:]]


def same_values(first: Iterable[int], second: Iterable[int]) -> bool:
    """Say whether two shapes hold the same numbers in the same order, as a linear layer and a 1x1 convolution do."""
    return [size for size in first if size != 1] == [size for size in second if size != 1]
