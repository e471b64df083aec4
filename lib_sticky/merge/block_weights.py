"""A method's number that differs by block, by element of a block, or by a pattern of the key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from .architectures import Architecture
from .errors import RecipeError


@dataclass(frozen=True)
class Rule:
    """Sets `value` where the block is in `blocks` (all, when empty) and `pattern` is found in the key."""

    blocks: frozenset[str]
    pattern: str
    value: float
    inverted: bool = False


@dataclass(frozen=True)
class BlockWeights:
    """A number for each key: the last rule that matches, else the narrowest named block, else `base`."""

    base: float
    blocks: Mapping[str, float]
    rules: tuple[Rule, ...] = ()

    def at(self, key: str, architecture: Architecture) -> float:
        """Return the number for a canonical key."""
        names = architecture.blocks_of(key)
        for rule in reversed(self.rules):
            if (not rule.blocks or not rule.blocks.isdisjoint(names)) and bool(
                re.search(rule.pattern, key)
            ) != rule.inverted:
                return rule.value
        return next((self.blocks[name] for name in names if name in self.blocks), self.base)

    def to_json(self) -> dict[str, object]:
        rules = [[sorted(rule.blocks), rule.pattern, rule.value, rule.inverted] for rule in self.rules]
        return {"base": self.base, "blocks": dict(self.blocks), "rules": rules}

    @staticmethod
    def from_json(raw: Mapping[str, object]) -> BlockWeights:
        """Read what `to_json` writes; blocks may also be a list of numbers (see `from_numbers`)."""
        if unknown := raw.keys() - {"base", "blocks", "rules"}:
            raise RecipeError(f"block weights have no field {sorted(unknown)[0]!r}; known are base, blocks, rules")
        blocks, base = raw.get("blocks", {}), raw.get("base", 0.0)
        try:
            if isinstance(blocks, Sequence):
                named = from_numbers([float(value) for value in blocks], float(base))  # type: ignore[arg-type]
            else:
                named = BlockWeights(float(base), _named(blocks))  # type: ignore[arg-type]
            rules = tuple(_rule(rule) for rule in raw.get("rules", ()))  # type: ignore[attr-defined]
        except (TypeError, ValueError, AttributeError) as error:
            raise RecipeError(f"block weights are malformed: {error}") from error
        return BlockWeights(named.base, named.blocks, rules)


def _named(blocks: Mapping[str, float]) -> Mapping[str, float]:
    return MappingProxyType({str(name): float(value) for name, value in blocks.items()})


def _rule(raw: object) -> Rule:
    if isinstance(raw, str):
        return parse_rule(raw)
    blocks, pattern, value, inverted = raw  # type: ignore[misc]
    re.compile(pattern)
    return Rule(frozenset(blocks), str(pattern), float(value), bool(inverted))


def from_numbers(values: Sequence[float], base: float = 0.0) -> BlockWeights:
    """Read the lists that block-merge tools exchange.

    26 (SD1) or 20 (SDXL) numbers are BASE, IN, M00, OUT; 25 or 19 leave BASE out and take `base`; 21 add the VAE.
    A list of 26 also serves SDXL: names that it has not are never asked for, and OUT00-08 keep their own numbers.
    """
    count = len(values)
    if count in (25, 19):
        values = [base, *values]
    elif count not in (26, 20, 21):
        raise RecipeError(f"{count} block weights; give 26 or 25 (SD1), 20, 19 or 21 with the VAE (SDXL)")
    side = 12 if count in (26, 25) else 9
    names = ["BASE", *(f"IN{i:02}" for i in range(side)), "M00", *(f"OUT{i:02}" for i in range(side))]
    if count == 21:
        names.append("VAE")
    named = dict(zip(names, values, strict=True))
    return BlockWeights(named["BASE"], _named(named))


def parse_rule(text: str) -> Rule:
    """Read an elemental rule `BLOCKS:ELEMENT:VALUE`, for example `IN00-IN05 M00:attn1:0.3` or `:NOT ff.net:0`.

    An empty part matches everything; ELEMENT is a plain piece of the key, or a regular expression after `re:`.
    """
    blocks, _, rest = text.partition(":")
    element, _, value = rest.rpartition(":")
    inverted = element.startswith("NOT ")
    element = element.removeprefix("NOT ")
    pattern = element[3:] if element.startswith("re:") else re.escape(element)
    try:
        re.compile(pattern)
        return Rule(frozenset(_block_names(blocks)), pattern, float(value), inverted)
    except (ValueError, re.error) as error:
        raise RecipeError(f"rule {text!r} is not BLOCKS:ELEMENT:VALUE ({error})") from error


def _block_names(text: str) -> list[str]:
    names: list[str] = []
    for part in text.replace(",", " ").split():
        low, dash, high = part.partition("-")
        if not dash:
            names.append(part)
            continue
        first, last = (re.fullmatch(r"([A-Z]+)(\d+)", name) for name in (low, high))
        if first is None or last is None or first[1] != last[1]:
            raise RecipeError(f"block range {part!r} is not like IN00-IN05")
        names += [f"{first[1]}{number:02}" for number in range(int(first[2]), int(last[2]) + 1)]
    return names
