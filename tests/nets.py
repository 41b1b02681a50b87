"""A model whose paths walk along epochs, as a net's do, without a net: scores are a formula of dropout and epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from regsearch._types import Array
from regsearch.data.problem import Problem
from regsearch.models.base import Backend, Candidate, Model, Outcome, Setup
from regsearch.models.deadline import Deadline
from regsearch.models.path import Curves, Trajectory, choose_step
from regsearch.space.domains import Between
from regsearch.space.tree import Float, tunable

PRUNED_AT = 4  # epochs that a pruned trial gets


@dataclass(frozen=True)
class Dial(Model):
    """Its best epoch is ``round(20 dropout)``; from the third trial on, every fourth one is pruned."""

    dropout: Any = tunable(Between(0, 1), Float(0.1, 0.9), off=0.0)
    max_epochs: int = 30
    module: str = "mlp"
    penalty: str = "none"
    epochs: int | None = None
    fixed: bool = False  # the last epoch counts
    faulty: bool = False  # its pictures cannot be drawn

    axis: ClassVar[str] = "epochs"

    def backend(self, setup: Setup) -> Backend:
        return DialBackend(setup)

    def reference(self) -> Dial:
        return replace(self, dropout=0.0)

    def at(self, value: float | None) -> Dial:
        return self if value is None else replace(self, epochs=round(value))

    def _refit(self, problem: Problem, seed: int, deadline: Deadline) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge().fit(problem.X, problem.y)

    def figures(self, problem: Problem, seed: int) -> Mapping[str, Figure]:
        if self.faulty:
            raise ValueError("no image shape\nto draw")
        figure = Figure()
        figure.add_axes((0.1, 0.1, 0.8, 0.8)).imshow(np.arange(16.0).reshape(4, 4))
        return {"augmented_samples": figure}


class DialBackend:
    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def stream(self, candidates: Iterable[Candidate]) -> Iterator[Outcome]:
        for candidate in candidates:
            self.setup.notice(f"1 trial in flight, epoch {PRUNED_AT}")
            yield self.evaluate(candidate)

    def evaluate(self, candidate: Candidate) -> Outcome:
        config = candidate.config
        assert isinstance(config, Dial)
        pruned = candidate.number > 2 and candidate.number % 4 == 0
        epochs = np.arange(1.0, (PRUNED_AT if pruned else config.max_epochs) + 1)
        val = self._val(epochs, config.dropout)
        if pruned:
            val[-1] = np.nan  # a fold that never started
        step = len(epochs) - 1 if config.fixed else choose_step(val[:-1].mean(axis=0))
        curves = {metric.name: Curves(val + epochs / 100, val) for metric in self.setup.metrics}
        return Outcome(
            candidate, "pruned" if pruned else "complete", Trajectory(epochs, curves, np.full(val.shape, np.nan)), step,
            seconds=0.1,
            measures={"weights/norm": 3.25, "weights/nonzero": 812.0},
            reason=f"stopped by the rung at epoch {PRUNED_AT}" if pruned else "",
        )  # fmt: skip

    def _val(self, epochs: Array, dropout: float) -> Array:
        """``[K, S]``: a parabola with its top at the best epoch, shifted a little in each fold."""
        top = -((epochs - round(20 * dropout)) ** 2) / 100 - abs(dropout - 0.5)
        return np.asarray(top + np.linspace(-0.2, 0.2, len(self.setup.folds))[:, None])
