"""LoRAs on one side of the guidance: on the negative's rows of a UNet, and while the negative's texts are encoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from .load import Strong, branches_of, without_place
from .places import Places
from .rows import RowBranches, Rows

_ALL = Rows(1, ((0, 1),))


class SidedLoras:
    """`loras` for the layers in `unet` and `texts`, on the negative side only or, with `both`, on both.

    Nothing is hooked to the model outside of `on_text` and `attached`. Raises CheckpointError that names a file that
    is damaged or not for this model.
    """

    def __init__(self, loras: Sequence[Strong], unet: Places, texts: Places, *, both: bool = False) -> None:
        places = {**unet, **texts}
        branches = branches_of(loras, places)
        encoder = set(texts.values())
        self.notes = without_place(loras, places)
        self._both = both
        self._texts = RowBranches({layer: added for layer, added in branches.items() if layer in encoder})
        self._unet = RowBranches({layer: added for layer, added in branches.items() if layer not in encoder})

    def changes_text(self, *, negative: bool) -> bool:
        """Whether texts of a side are encoded differently."""
        return bool(self._texts) and (negative or self._both)

    @contextmanager
    def on_text(self, *, negative: bool) -> Iterator[None]:
        """Act on the texts that are encoded inside, if they are of a side on which the LoRAs act."""
        if not self.changes_text(negative=negative):
            yield
            return
        try:
            with self._texts.attach().on(_ALL):
                yield
        finally:
            self._texts.remove()

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Hook the UNet's layers; inside of it `on_rows` or `choose_rows` says which rows are changed."""
        try:
            self._unet.attach()
            yield
        finally:
            self._unet.choose(None)
            self._unet.remove()

    def on_rows(self, negative: Sequence[bool]) -> AbstractContextManager[None]:
        """Act on the model calls made inside, whose batch has a `negative` for each row."""
        return self._unet.on(self._rows(negative))

    def choose_rows(self, negative: Sequence[bool]) -> None:
        """Act on the model calls from now on; for hosts that make them."""
        self._unet.choose(self._rows(negative))

    def _rows(self, negative: Sequence[bool]) -> Rows:
        return Rows.of([True] * len(negative) if self._both else negative)


def on_text(loras: SidedLoras | None, *, negative: bool) -> AbstractContextManager[None]:
    """`loras.on_text`, or nothing without LoRAs."""
    return loras.on_text(negative=negative) if loras else nullcontext()
