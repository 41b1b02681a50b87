"""What a loss of linear models is: one class in a file of `losses`, or in a user's script.

Most losses are the mean of one of each row: a `RowLoss` says its formulas, and no more.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from regsearch._types import Array, Task
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.data.weights import weighing
from regsearch.errors import InvalidInput
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.sample import Sample
from regsearch.space.tree import Node


class Loss(Node, abstract=True):
    """A loss of linear models, in place of the squared error or the log-loss that the task has.

    Attributes
    ----------
    task
        The task that it is a loss of: where nobody says the task, it is this one.
    likelihood
        Whether the loss is minus a log-likelihood times a dispersion: then a penalty stands for a prior. The dispersion
        is 1, or estimated where `dispersed`.
    shipped_ratio
        The L1 ratio of the penalty that scikit-learn's estimator of the loss has; `None` where it has none of the loss.
    smooth
        Whether it has derivatives; it is fitted by an interior-point method where it has none.
    log_link
        Whether its decision is the logarithm of y's mean.
    shipped_as_fitted
        Whether that estimator has parameters which only a fit tells.
    """

    task: ClassVar[Task] = "regression"
    likelihood: ClassVar[bool] = True
    dispersed: ClassVar[bool] = False
    shipped_ratio: ClassVar[float | None] = 0.0
    smooth: ClassVar[bool] = True
    shipped_as_fitted: ClassVar[bool] = False
    log_link: ClassVar[bool] = False

    @property
    @abstractmethod
    def scoring(self) -> str:
        """The name of the score that goes with it, which decides when the user names none."""

    @abstractmethod
    def check_target(self, y: Array) -> None:
        """Refuse targets ``[n]`` that it is not defined for.

        Raises
        ------
        InvalidInput
            Saying what they must be.
        """

    @abstractmethod
    def sample(self, y: Array, weights: Array) -> Sample:
        """The loss on the training rows of a fold, targets ``[1, 1, n]``."""

    def sample_beside(self, y: Array, weights: Array, offset: Array) -> Sample:
        """The same where a part ``[n]`` of each row's decision is known; of a loss in units of y that is taken off y.

        Raises
        ------
        InvalidInput
            Of a loss that cannot have one: what all others override.
        """
        raise InvalidInput(f"The {self.kind} loss takes no offset; leave it out, or define sample_beside of the loss.")

    @abstractmethod
    def estimator(self, lambda_: float, l1_ratio: float, n: float) -> Any:
        """scikit-learn's estimator of this loss, with the penalty as far as that has it; `n` as in `convert`."""

    @property
    def variance_power(self) -> float:
        """The power of the mean that the variance of y grows with: that of the deviance which D squared is of."""
        return 0.0

    @property
    def in_units_of_y(self) -> bool:
        """Whether its decision says y itself, so that what is known of one can be taken off the other."""
        return self.task == "regression" and not self.log_link

    def predicted(self, eta: Array) -> Array:
        """What is predicted for decisions."""
        return eta

    def spread(self, y: Array, weights: Array) -> float:
        """The unit of decisions: by default the standard deviation of y."""
        return float(np.sqrt(weights @ (y - weights @ y) ** 2))

    def fill(self, model: Any, y: Array, eta: Array, weights: Array, lambda_: float) -> None:
        """Give scikit-learn's estimator what its fit would leave in it beside the coefficients: by default nothing.

        Parameters
        ----------
        eta
            ``[n]`` decisions on the rows that it was fitted to.
        """


def check_losses(losses: tuple[Loss | None, ...], problem: Problem, folds: Folds) -> None:
    """Refuse losses that a problem's target, or what folds train on of it, is not made for.

    Raises
    ------
    InvalidInput
        Naming the loss.
    """
    for loss in losses:
        if loss is None:
            continue
        if problem.task != loss.task:
            raise InvalidInput(
                f"The {loss.kind} loss is of a {loss.task} task, got a {problem.task} one; pass task={loss.task!r}, or "
                "leave the loss out."
            )
        if loss.log_link and problem.transform is not None:
            raise InvalidInput(
                f"The {loss.kind} loss takes the logarithm itself, of y's mean, and needs y as it is, got "
                f"target={problem.transform.name}; leave target or the loss out."
            )
        for part in (np.arange(problem.rows), *folds.train):
            rows = weighing(part, problem.sample_weight)
            loss.check_target(problem.y[rows] if problem.transform is None else problem.fit_labels(rows))


def check_solved(terms: GeneralTerms, loss: Loss | None, penalty: str, targets: int) -> None:
    """Refuse a penalty that the solver of a loss, or of several targets, does not fit, by its kind.

    Raises
    ------
    InvalidInput
        Naming both, and what may be chosen.
    """
    if targets > 1 and loss is not None:
        raise InvalidInput(
            f"Several targets are fitted by squared error, got the {loss.kind} loss and {targets} columns of y; leave "
            "the loss out, or run one study per column."
        )
    if targets > 1 and not (terms.elastic or terms.rowwise):
        raise InvalidInput(
            f"{penalty} is not fitted to several targets, y has {targets} columns; choose multi_task_elastic_net, "
            "multi_task_lasso, none, l1, l2, elastic_net or an adaptive one of these, or run one study per column."
        )
    if loss is not None and not loss.smooth and not terms.certified:
        raise InvalidInput(
            f"The {loss.kind} loss has no derivatives, and cannot be fitted with {penalty} on these columns; choose "
            "none, l1, l2, elastic_net or an adaptive one of these, without unpenalized and limits (penalty_factors "
            "with an L1 part alone), or another loss."
        )
