"""LoRAs on one side of the guidance: hooked to a UNet and its text encoders for the length of a job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

from .load import Strong, branches_of
from .places import Places
from .rows import RowBranches, Rows

_ALL = Rows(1, ((0, 1),))


class SidedLoras:
    """`loras` hooked to the layers in `unet` and `texts`, on the negative side only or, with `both`, on both.

    They act inside of `on_text` and `on_rows`. `remove` gives the model back as it was. Raises CheckpointError that
    names a file that is damaged or not for this model, before anything is hooked.
    """

    def __init__(self, loras: Iterable[Strong], unet: Places, texts: Places, *, both: bool = False) -> None:
        branches = branches_of(loras, {**unet, **texts})
        encoder = set(texts.values())
        self._both = both
        self._texts = RowBranches({layer: added for layer, added in branches.items() if layer in encoder})
        self._unet = RowBranches({layer: added for layer, added in branches.items() if layer not in encoder})

    def on_text(self, *, negative: bool) -> AbstractContextManager[None]:
        """Act on the texts that are encoded inside, if they are of a side on which the LoRAs act."""
        return self._texts.on(_ALL) if negative or self._both else nullcontext()

    def on_rows(self, negative: Sequence[bool]) -> AbstractContextManager[None]:
        """Act on the model calls made inside, whose batch has a `negative` for each row."""
        return self._unet.on(self._rows(negative))

    def choose_rows(self, negative: Sequence[bool] | None) -> None:
        """Act on model calls from now on, or on none; for hosts that make them."""
        self._unet.choose(None if negative is None else self._rows(negative))

    def remove(self) -> None:
        """Take all hooks off."""
        self._texts.remove()
        self._unet.remove()

    def _rows(self, negative: Sequence[bool]) -> Rows:
        return Rows.of([True] * len(negative) if self._both else negative)
