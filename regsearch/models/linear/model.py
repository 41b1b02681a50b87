"""`Linear`, the space and config of penalised linear models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from regsearch._types import Task
from regsearch.data.fold_targets import fitted_to
from regsearch.data.folds import Folds
from regsearch.data.problem import Problem
from regsearch.data.table_checks import check_columns, check_table
from regsearch.data.tasks import check_not_mixed
from regsearch.errors import InvalidInput
from regsearch.models.axes import LAMBDA
from regsearch.models.base import Backend, Model, Setup
from regsearch.models.class_weight import check_class_weight
from regsearch.models.deadline import Deadline
from regsearch.models.linear.columns import check_column_names, columns_of
from regsearch.models.linear.general import GeneralTerms
from regsearch.models.linear.loss import Loss, check_losses, check_solved
from regsearch.models.linear.penalties import NoPenalty
from regsearch.models.linear.penalty import Penalty, check_penalised
from regsearch.models.linear.scales import SCALES
from regsearch.models.preparation import Preparation, cannot_be_exported, check_preparations, first_of, preparations
from regsearch.models.scored_by_predictions import check_scored_by_predictions
from regsearch.space.domains import (
    ClassWeights,
    ColumnFactors,
    ColumnLimits,
    ColumnName,
    ColumnNames,
    Family,
    OneOf,
    OrNone,
    PathField,
)  # fmt: skip
from regsearch.space.fields import public_name
from regsearch.space.path import Path
from regsearch.space.sampling import default
from regsearch.space.tree import Choice, tunable

if TYPE_CHECKING:
    from regsearch.models.default_columns import DefaultColumns

BY_TASK = "by task"  # what the loss of the task is called in a row
SILENT = {  # what a row leaves out where it is None, and what that is called in others
    "class_weight": "none", "loss": BY_TASK, "penalty_factors": "none", "unpenalized": "none", "limits": "none",
    "prepare": "none", "offset": "none",
}  # fmt: skip


def _options(value: Any) -> tuple[Any, ...]:
    return value.options if isinstance(value, Choice) else (value,)


@dataclass(frozen=True)
class Linear(Model):
    """Least squares, logistic or multinomial regression, by the task, or another loss, with a penalty.

    Of several targets, a y ``[n, t]``, squared errors add up, as in scikit-learn.

    ``sum_i w_i loss_i / sum_i w_i + lambda * penalty``, squared error halved: glmnet's scale.

    Parameters
    ----------
    penalty
        A penalty, its name, or a `Choice` of them.
    lambda_
        A `Path` (one trial walks every lambda and the best point is chosen on the mean validation curve), a number,
        or a `Float` that Optuna samples.
    scale
        How columns are scaled inside each fold: ``standard``, ``minmax``, ``robust`` or ``none``.
    class_weight
        What classes weigh in fits, times the rows' weights, and not in scores: `None`, ``balanced`` (every class the
        same in a fold's training rows) or a dict from labels to weights, as scikit-learn has it. A `Choice` of them is
        searched.
    loss
        A loss, its name, or a `Choice` of them, in place of that of the task: ``poisson``, ``gamma`` or `Tweedie`, of
        half the deviance, whose decision is the logarithm of the mean, ``huber``, `Quantile`, or `Cox`, of events and
        times. It says the task where nobody does, and by what is scored.
    penalty_factors
        What the penalty of columns of X is multiplied by, by name: ``{"age": 0.5}``. Others have 1, and lambda keeps
        its meaning: factors are not rescaled. The columns of a category are weighed alike.
    unpenalized
        Names of columns that are never penalised, as a factor of 0 says.
    limits
        Limits of the coefficients of columns of X, by name and in units of the column: ``{"dose": (0, None)}`` keeps
        that of dose from being negative. They must let it be 0.
    offset
        The name of a column of X that is added to the decision as it is, its coefficient being one: the logarithm of an
        exposure beside a log link, or what another model predicts. It is never penalised, scaled or counted.
    prepare
        A transformer of scikit-learn, a `Prepare` with leaves for its parameters, or a `Choice` of them: fitted inside
        each fold, it makes numbers of X, text and dates among it. Where columns are named above, by a column of X all
        that it becomes is meant, and those that it gives may be named, too. Its train scores are of what it made of the
        rows when it was fitted to them.

    Examples
    --------
    >>> Linear(penalty="l1").penalty
    L1()
    """

    penalty: Any = tunable(Family(Penalty), "l1")
    lambda_: Any = tunable(PathField(), Path(100), off=0.0)
    scale: Any = tunable(OneOf(SCALES), "standard")
    class_weight: Any = tunable(ClassWeights(), None)
    penalty_factors: Any = tunable(ColumnFactors(), None)
    unpenalized: Any = tunable(ColumnNames(), None)
    limits: Any = tunable(ColumnLimits(), None)
    loss: Any = tunable(OrNone(Family(Loss), BY_TASK), None)
    prepare: Any = tunable(Preparation(), None)
    offset: Any = tunable(OrNone(ColumnName(), "none"), None)

    gives_up: ClassVar[bool] = False
    cost: ClassVar[int] = 0

    def shown_fields(self) -> dict[str, Any]:
        """Without what a config says nothing of."""
        return {name: value for name, value in self.fields().items() if name not in SILENT or value is not None}

    def offs(self) -> dict[str, Any]:
        return super().offs() | SILENT

    @property
    def axis(self) -> str:
        return LAMBDA.name

    @property
    def losses(self) -> tuple[Any, ...]:
        """Every loss that a config may have; `None` is that of the task."""
        return _options(self.loss)

    @property
    def shipped_whole(self) -> bool:
        """Whether scikit-learn's estimator fits a filled config with its penalty again, and not a part of it."""
        said = any(getattr(self, name) for name in ("penalty_factors", "unpenalized", "limits", "offset"))
        whole = self.loss is None or self.loss.shipped_ratio == self.penalty.l1_ratio
        return bool(self.penalty.plain and whole and not said)

    @property
    def task(self) -> Task | None:
        found = {loss.task for loss in self.losses if loss is not None}
        return found.pop() if len(found) == 1 else None

    @property
    def variance_power(self) -> float:
        return 0.0 if self.loss is None else float(self.loss.variance_power)

    def scoring(self, problem: Problem) -> str:
        """The score of the loss; that of the task where losses would score differently."""
        usual = super().scoring(problem)
        found = {usual if loss is None else loss.scoring for loss in self.losses}
        return found.pop() if len(found) == 1 else usual

    def check(self, setup: Setup) -> None:
        check_not_mixed(setup.problem.task, "Linear")
        check_table(setup.problem, "Linear")
        if None in preparations(self.prepare):
            check_columns(setup.problem, "Linear")
        check_scored_by_predictions(setup, "Linear")
        check_class_weight(self.class_weight, setup.problem)
        if setup.problem.task == "survival" and None in self.losses:
            raise InvalidInput("Linear has one loss of a survival task, got another; pass loss='cox'.")
        check_losses(self.losses, setup.problem, setup.folds)
        check_preparations(self.prepare, setup.problem, setup.folds.train, self._check_columns)

    def _check_columns(self, problem: Problem) -> None:
        """Refuse names that columns do not have, and a penalty of them that a loss, or the task, cannot have."""
        check_column_names(self, problem)
        asked = ("penalty", "loss", "penalty_factors", "unpenalized", "limits")
        for options in product(*(_options(getattr(self, name)) for name in asked)):
            one = replace(self, **dict(zip(asked, options, strict=True)))
            check_penalised(one.penalty, one.loss and one.loss.kind, problem.task)
            if problem.targets > 1 or (one.loss is not None and not one.loss.smooth):
                check_solved(one._terms_on(problem), one.loss, one.penalty.kind, problem.targets)

    def _terms_on(self, problem: Problem) -> GeneralTerms:
        """What solvers would read of the penalty at its usual values: what they take of it does not depend on these."""
        ones = np.ones((1, len(problem.encoded_features), problem.outputs))
        terms: GeneralTerms = default(self.penalty).terms(lambda: ones)
        return terms.on(columns_of(self, problem, lambda: ones[:, :, 0]))

    def prepared_by(self, columns: DefaultColumns) -> Linear:
        return self if self.prepare is not None or not columns.needed else replace(self, prepare=columns.encoding)

    def preload(self) -> None:
        import regsearch.models.linear.backend  # noqa: F401

    def backend(self, setup: Setup) -> Backend:
        from regsearch.models.linear.prepared import PreparedBackend

        return PreparedBackend(setup, tuple(loss if loss is None else default(loss) for loss in self.losses))

    def reference(self) -> Linear:
        first = {name: getattr(self, name) for name in ("scale", "class_weight", "loss", "offset")}
        first = {name: value.first if isinstance(value, Choice) else value for name, value in first.items()}
        first["loss"] = None if first["loss"] is None else default(first["loss"])
        nothing = {"penalty_factors": None, "unpenalized": None, "limits": None}
        return replace(self, penalty=NoPenalty(), lambda_=0.0, **first, **nothing, prepare=first_of(self.prepare))

    def without(self, plain: Model | None = None) -> dict[str, Model]:
        """Without the penalty, one of its L1 and L2 parts, its weights; with the reference's scale, weights or limits.

        At a lambda the part that stays is as strong as it was.
        """
        if not self.penalty.path or not self.lambda_:
            return {}
        found: dict[str, Model] = {"penalty": self.reference()}
        ratio = self.penalty.fields().get("l1_ratio", 0.0)
        if 0 < ratio < 1:
            for part, rest, share in (("L1 part", 0.0, 1 - ratio), ("L2 part", 1.0, ratio)):
                lambda_ = self.lambda_ if isinstance(self.lambda_, Path) else self.lambda_ * share
                found[part] = replace(self, penalty=self.penalty.replace(l1_ratio=rest), lambda_=lambda_)
        for name, off in self.penalty.offs().items():
            if off is not None and getattr(self.penalty, name) != off:
                found[public_name(name)] = replace(self, penalty=self.penalty.replace(**{name: off}))
        return found | self._as_in(plain, "scale", *SILENT)

    def walking(self) -> Linear:
        return self if not self.lambda_ or isinstance(self.lambda_, Path) else replace(self, lambda_=Path(100))

    def at(self, value: float | None) -> Linear:
        return replace(self, lambda_=value) if value is not None and isinstance(self.lambda_, Path) else self

    def cannot_be_exported(self) -> str:
        return cannot_be_exported(self.prepare)

    def _refit(self, problem: Problem, seed: int, deadline: Deadline) -> Any:
        from regsearch.models.linear.refit import refit

        return refit(self, problem)

    def explain(self, problem: Problem, folds: Folds, seed: int) -> Mapping[str, Mapping[str, Any]]:
        from regsearch.models.linear.interpretation import interpret

        found = interpret(self, fitted_to(problem)[0], folds)
        if problem.transform is not None:
            found["interpretation"]["lines"].insert(0, f"All this is of target={problem.transform.name}, not of y.")
        return found
