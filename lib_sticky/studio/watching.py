"""What is kept of a batch of the studio while it is sampled (see lab/watching.py)."""

from __future__ import annotations

from dataclasses import dataclass

from lib_sticky.guidance.passes import Pass
from lib_sticky.lab.watching import Seen, Watched
from lib_sticky.studio.probe import EmptyPrompt
from lib_sticky.studio.sampling import Moment


@dataclass
class Watch(Watched):
    """`empty`: predicts with the empty prompt beside the batch, if that is to be measured."""

    empty: EmptyPrompt | None = None

    def see(self, moment: Moment) -> None:
        """Measure one step of all images."""
        found = self.empty.see(moment) if self.empty else []
        if found:
            self.probed(found)
        predictions = moment.predictions
        away = predictions.get(Pass.UNCOND)
        self.take(Seen(moment.step, moment.steps, moment.sigma, predictions[Pass.COND], away, moment.guided.prediction))
