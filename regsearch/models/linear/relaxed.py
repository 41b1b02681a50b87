"""Penalties that choose columns, whose coefficients are then fitted again without the penalty, in part.

``w = (1 - relax) w_chosen + relax w_refit``: w_refit is the fit without a penalty on the coefficients that are not zero
in w_chosen (Hastie, Tibshirani & Tibshirani 2020). Between the two nothing is fitted. Where classes separate on
those, or columns repeat, it is the limit of ridge, as it is without a penalty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from regsearch._types import Array, Rows
from regsearch.models.linear.general import GeneralTerms, PenalisedColumns
from regsearch.models.linear.penalty import Terms


@dataclass(frozen=True)
class RelaxedTerms(GeneralTerms):
    """The penalty that chooses, and how much of its shrinkage is taken back; see the module."""

    convex = False  # the fit is a minimiser of no penalty
    chooser: Terms
    relax: float

    @property
    def sparse(self) -> bool:  # type: ignore[override]
        return self.chooser.sparse

    @property
    def start(self) -> Terms:
        return self.chooser

    @property
    def kept(self) -> float:
        return 1.0 - self.relax

    def value(self, w: Array, lambda_: float) -> Array:
        return self.chooser.value(w, lambda_)

    def prox(self, w: Array, step: float, lambda_: float = 1.0) -> Array:
        return self.chooser.prox(w, step, lambda_)

    def lambda_max(self, gradient: Array) -> float:
        return self.chooser.lambda_max(gradient)

    @property
    def unpenalised(self) -> Array:
        return self.chooser.unpenalised

    @property
    def weights(self) -> Array:
        return self.chooser.weights

    @property
    def at_top(self) -> Terms:
        return self.chooser.at_top

    def on(self, columns: PenalisedColumns) -> RelaxedTerms:
        return replace(self, chooser=self.chooser.on(columns))

    def of_fold(self, k: int, shape: tuple[int, ...]) -> RelaxedTerms:
        return replace(self, chooser=self.chooser.of_fold(k, shape))

    def restricted(self, some: Rows) -> RelaxedTerms:
        return replace(self, chooser=self.chooser.restricted(some))
